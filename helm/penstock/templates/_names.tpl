{{- define "penstock.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "penstock.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else if contains (include "penstock.name" .) .Release.Name }}
{{- .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "penstock.name" .) | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "penstock.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels by which objects are chosen; they never change. Takes (dict "root" $ "component" "gateway"). */}}
{{- define "penstock.selectorLabels" -}}
app.kubernetes.io/name: {{ include "penstock.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "penstock.labels" -}}
{{ include "penstock.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ include "penstock.chart" .root }}
{{- end }}

{{- define "penstock.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "penstock.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "penstock.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry }}
{{- with $registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{/* Whether command handlers run: an app that is a schema alone has no commands of its own. */}}
{{- define "penstock.handlerRuns" -}}
{{- and .Values.commandHandler.enabled (empty .Values.app.schema) }}
{{- end }}

{{/* The services that run, comma-separated. */}}
{{- define "penstock.services" -}}
{{- $services := list "gateway" "router" }}
{{- if eq (include "penstock.handlerRuns" .) "true" }}{{ $services = append $services "command-handler" }}{{ end }}
{{- if .Values.projector.enabled }}{{ $services = append $services "projector" }}{{ end }}
{{- join "," $services }}
{{- end }}

{{/* The router's address within the cluster. */}}
{{- define "penstock.routerUrl" -}}
{{- printf "http://%s-router.%s.svc.%s:%d" (include "penstock.fullname" .) .Release.Namespace .Values.clusterDomain (int .Values.router.service.port) }}
{{- end }}
