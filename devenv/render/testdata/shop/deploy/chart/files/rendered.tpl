{{ .Release.Name }} rendered
