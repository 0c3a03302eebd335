{{/* The name of all objects, before that of the role. */}}
{{- define "paystream.name" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* By what the pods of a role are found; it never changes. Takes (dict "root" $ "role" "stream"). */}}
{{- define "paystream.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{/* The labels of the objects of a role. */}}
{{- define "paystream.labels" -}}
{{ include "paystream.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The image of a role. */}}
{{- define "paystream.image" -}}
{{- $image := .root.Values.image -}}
{{- $own := (get .root.Values .role).imageTag -}}
{{- if and $image.digest (not $own) -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default (default .root.Chart.AppVersion $image.tag) $own }}
{{- end -}}
{{- end -}}
