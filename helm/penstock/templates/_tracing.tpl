{{/* Whether a component sends traces: those on the way of a command do. Takes a dict of: root, component. */}}
{{- define "penstock.traced" -}}
{{- if and .root.Values.tracing.endpoint (has .component (list "router" "gateway" "command-handler")) }}true{{ end }}
{{- end }}

{{- define "penstock.tracingEnv" -}}
{{- with .Values.tracing }}
- { name: PENSTOCK_TRACING_ENDPOINT, value: {{ .endpoint | quote }} }
- { name: PENSTOCK_TRACING_SAMPLE_RATIO, value: {{ .sampleRatio | quote }} }
{{- if .existingSecret }}
- { name: PENSTOCK_TRACING_HEADERS_FILE, value: {{ printf "/etc/penstock/tracing/%s" .secretKeys.headers | quote }} }
- { name: PENSTOCK_TRACING_TLS_CA_FILE, value: {{ printf "-/etc/penstock/tracing/%s" .secretKeys.ca | quote }} }
{{- end }}
{{- end }}
{{- end }}
