package main

// version is the release, as in the image's tag in production.
const version = "1.4.2"
