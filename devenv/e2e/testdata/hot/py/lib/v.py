V = "lib-1"
