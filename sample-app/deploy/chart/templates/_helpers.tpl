{{/* Labels that every object carries. Call with (dict "root" $ "name" "web"). */}}
{{- define "academy.labels" -}}
{{ include "academy.selector" . }}
app.kubernetes.io/part-of: academy
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* Labels that tell the pods of one service. They must never change. */}}
{{- define "academy.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* An image's reference. Call with (dict "root" $ "name" "grades" "tag" .Values.grades.tag). */}}
{{- define "academy.image" -}}
{{- $tag := .tag | default .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{ printf "%s/%s:%v" .root.Values.image.registry .name $tag }}
{{- end }}

{{/* The settings of a pod that all services share. Call with (dict "root" $ "name" "web"). */}}
{{- define "academy.podSettings" -}}
enableServiceLinks: false
automountServiceAccountToken: false
terminationGracePeriodSeconds: 20
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .root.Values.spread }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "academy.selector" . | nindent 8 }}
    # The pods of the old version do not count while a new one comes.
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}

{{/* The new pod must be ready before an old one goes. */}}
{{- define "academy.strategy" -}}
type: RollingUpdate
rollingUpdate:
  maxUnavailable: 0
  maxSurge: 1
{{- end }}

{{/* What no container of ours needs. */}}
{{- define "academy.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The environment of the PHP programs. */}}
{{- define "academy.webEnvironment" -}}
{{- range $key := list "GRADES_URL" "RECOMMENDER_URL" "REDIS_ADDRESS" }}
- name: {{ $key }}
  valueFrom:
    configMapKeyRef:
      name: academy
      key: {{ $key }}
{{- end }}
- name: GRADES_TOKEN
  valueFrom:
    secretKeyRef:
      name: academy
      key: apiToken
{{- end }}

{{/* How the grades service finds its database. */}}
{{- define "academy.databaseEnvironment" -}}
- name: PGHOST
  value: {{ .Values.database.host | quote }}
{{- range $variable, $key := dict "PGDATABASE" "POSTGRES_DB" "PGUSER" "POSTGRES_USER" "PGPASSWORD" "POSTGRES_PASSWORD" }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $.Values.database.secret }}
      key: {{ $key }}
{{- end }}
{{- end }}
