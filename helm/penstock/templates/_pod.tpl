{{/* Where the app is, in a Pod. */}}
{{- define "penstock.appFolder" -}}
{{- if .Values.app.folder }}{{ .Values.app.folder }}
{{- else if .Values.app.bundled }}/app/apps/{{ .Values.app.bundled }}
{{- else }}/etc/penstock/app
{{- end }}
{{- end }}

{{/* The app's schema, Kafka and PostgreSQL: for all services and for the Jobs that set up. A path after `-` may be absent. */}}
{{- define "penstock.storesEnv" -}}
- { name: PENSTOCK_SCHEMA, value: {{ printf "%s/schema.graphql" (include "penstock.appFolder" .) | quote }} }
- { name: PENSTOCK_KAFKA_BROKERS, value: {{ join "," .Values.kafka.brokers | quote }} }
- { name: PENSTOCK_KAFKA_PARTITIONS, value: {{ .Values.kafka.partitions | quote }} }
- { name: PENSTOCK_KAFKA_CREATE_TOPICS, value: {{ .Values.kafka.createTopics | quote }} }
- { name: PENSTOCK_KAFKA_REPLICATION_FACTOR, value: {{ .Values.kafka.replicationFactor | quote }} }
{{- with .Values.kafka.tls }}
{{- if or .enabled .existingSecret }}
- { name: PENSTOCK_KAFKA_TLS, value: "true" }
{{- end }}
{{- if .existingSecret }}
- { name: PENSTOCK_KAFKA_TLS_CA_FILE, value: {{ printf "-/etc/penstock/kafka-tls/%s" .secretKeys.ca | quote }} }
- { name: PENSTOCK_KAFKA_TLS_CERT_FILE, value: {{ printf "-/etc/penstock/kafka-tls/%s" .secretKeys.cert | quote }} }
- { name: PENSTOCK_KAFKA_TLS_KEY_FILE, value: {{ printf "-/etc/penstock/kafka-tls/%s" .secretKeys.key | quote }} }
{{- end }}
{{- end }}
{{- with .Values.kafka.sasl }}
{{- if .mechanism }}
- { name: PENSTOCK_KAFKA_SASL_MECHANISM, value: {{ lower .mechanism | quote }} }
- { name: PENSTOCK_KAFKA_SASL_USERNAME_FILE, value: {{ printf "/etc/penstock/kafka-sasl/%s" .secretKeys.username | quote }} }
- { name: PENSTOCK_KAFKA_SASL_PASSWORD_FILE, value: {{ printf "/etc/penstock/kafka-sasl/%s" .secretKeys.password | quote }} }
{{- end }}
{{- end }}
- { name: PENSTOCK_POSTGRES_URL_FILE, value: {{ printf "/etc/penstock/postgres/%s" .Values.postgres.secretKeys.url | quote }} }
- { name: PENSTOCK_POSTGRES_TLS_CA_FILE, value: {{ printf "-/etc/penstock/postgres/%s" .Values.postgres.secretKeys.ca | quote }} }
{{- with .Values.registry }}
{{- if .url }}
- { name: PENSTOCK_REGISTRY_URL, value: {{ .url | quote }} }
{{- end }}
{{- if .existingSecret }}
- { name: PENSTOCK_REGISTRY_USERNAME_FILE, value: {{ printf "/etc/penstock/registry/%s" .secretKeys.username | quote }} }
- { name: PENSTOCK_REGISTRY_PASSWORD_FILE, value: {{ printf "/etc/penstock/registry/%s" .secretKeys.password | quote }} }
- { name: PENSTOCK_REGISTRY_TLS_CA_FILE, value: {{ printf "-/etc/penstock/registry/%s" .secretKeys.ca | quote }} }
{{- end }}
{{- end }}
{{- end }}

{{/* Every address of the Pod: of both families where Services may have both, or where the Pods' own is of IPv6. */}}
{{- define "penstock.anyAddress" -}}
{{- $policy := .Values.service.ipFamilyPolicy }}
{{- if or (eq .Values.podIPFamily "IPv6") (has $policy (list "PreferDualStack" "RequireDualStack")) }}::{{ else }}0.0.0.0{{ end }}
{{- end }}

{{- define "penstock.ipFamilies" -}}
{{- with .Values.service.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
ipFamilies: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The Pod's own address, as it stands before a port. */}}
{{- define "penstock.podAddress" -}}
{{- if eq .Values.podIPFamily "IPv6" }}[$(POD_IP)]{{ else }}$(POD_IP){{ end }}
{{- end }}

{{/* Environment that all services share. */}}
{{- define "penstock.env" -}}
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- { name: PENSTOCK_ADMIN_HOST, value: {{ include "penstock.anyAddress" . | quote }} }
- { name: PENSTOCK_ADMIN_PORT, value: "9090" }
{{- /* In the Pod's own volume, which outlives its containers. */}}
- { name: PENSTOCK_WATCHDOG_FILE, value: /tmp/watchdog }
{{- /* Groups are names in the whole Kafka cluster: two releases must not share them. */}}
{{- range $section, $group := dict "OWNERSHIP" "gateway" "HANDLER" "command-handler" "PROJECTOR" "projector" }}
- { name: PENSTOCK_{{ $section }}_GROUP, value: {{ printf "%s-%s-%s" $.Release.Namespace (include "penstock.fullname" $) $group | quote }} }
{{- end }}
{{ include "penstock.storesEnv" . }}
{{- end }}

{{/*
The chart's variables, without those that are given, and those: server-side apply refuses a name that is there twice.
Takes a dict of: env, the chart's as YAML; given, a list as in a Pod.
*/}}
{{- define "penstock.mergedEnv" -}}
{{- $given := list }}
{{- range .given }}
{{- $given = append $given .name }}
{{- /* A secret comes from a variable or from the file that one names, not from both. */}}
{{- $given = append $given (ternary (trimSuffix "_FILE" .name) (printf "%s_FILE" .name) (hasSuffix "_FILE" .name)) }}
{{- end }}
{{- $merged := list }}
{{- range .env | fromYamlArray }}
{{- if not (has .name $given) }}{{ $merged = append $merged . }}{{ end }}
{{- end }}
{{- concat $merged .given | toYaml }}
{{- end }}

{{/* Redis and access tokens: for gateways and routers. */}}
{{- define "penstock.frontEnv" -}}
{{- with .Values.redis }}
{{- if .existingSecret }}
- { name: PENSTOCK_REDIS_URL_FILE, value: {{ printf "/etc/penstock/redis/%s" .secretKeys.url | quote }} }
- { name: PENSTOCK_REDIS_TLS_CA_FILE, value: {{ printf "-/etc/penstock/redis/%s" .secretKeys.ca | quote }} }
{{- else }}
- { name: PENSTOCK_REDIS_URL, value: {{ .url | quote }} }
{{- end }}
{{- end }}
- { name: PENSTOCK_AUTH_ISSUER, value: {{ .Values.auth.issuer | quote }} }
- { name: PENSTOCK_AUTH_AUDIENCE, value: {{ .Values.auth.audience | quote }} }
{{- with .Values.auth.jwksUrl }}
- { name: PENSTOCK_AUTH_JWKS_URL, value: {{ . | quote }} }
{{- end }}
- { name: PENSTOCK_ROUTE_JWKS_URL, value: {{ printf "%s/.well-known/jwks.json" (include "penstock.routerUrl" .) | quote }} }
{{- $any := include "penstock.anyAddress" . }}
- { name: PENSTOCK_HTTP_LISTEN, value: {{ printf "%s:8080" (ternary "[::]" $any (eq $any "::")) | quote }} }
{{- if .Values.internalTls.existingSecret }}
{{- with .Values.internalTls.secretKeys }}
- { name: PENSTOCK_INTERNAL_TLS_CA_FILE, value: {{ printf "/etc/penstock/internal-tls/%s" .ca | quote }} }
- { name: PENSTOCK_INTERNAL_TLS_CERT_FILE, value: {{ printf "/etc/penstock/internal-tls/%s" .cert | quote }} }
- { name: PENSTOCK_INTERNAL_TLS_KEY_FILE, value: {{ printf "/etc/penstock/internal-tls/%s" .key | quote }} }
{{- end }}
{{- end }}
{{- end }}

{{/* Secrets that gateways and routers have besides those of all services, as YAML. */}}
{{- define "penstock.frontSecrets" -}}
{{- with .Values.redis.existingSecret }}
- { name: redis, secret: {{ . }} }
{{- end }}
{{- with .Values.internalTls.existingSecret }}
- { name: internal-tls, secret: {{ . }} }
{{- end }}
{{- end }}

{{- define "penstock.appVolume" -}}
{{- if or .Values.app.schema .Values.app.existingConfigMap }}
- { name: app, configMap: { name: {{ default (printf "%s-app" (include "penstock.fullname" .)) .Values.app.existingConfigMap }} } }
{{- end }}
{{- end }}

{{- define "penstock.appMount" -}}
{{- if or .Values.app.schema .Values.app.existingConfigMap }}
- { name: app, mountPath: /etc/penstock/app, readOnly: true }
{{- end }}
{{- end }}

{{/* Scratch space and the Secrets of Kafka, PostgreSQL and the registry. Mode 288 is 0440, which YAML 1.2 reads as 440. */}}
{{- define "penstock.volumes" -}}
- { name: tmp, emptyDir: { sizeLimit: 64Mi } }
- { name: postgres, secret: { secretName: {{ .Values.postgres.existingSecret }}, defaultMode: 288 } }
{{- with .Values.kafka.tls.existingSecret }}
- { name: kafka-tls, secret: { secretName: {{ . }}, defaultMode: 288 } }
{{- end }}
{{- if .Values.kafka.sasl.mechanism }}
- { name: kafka-sasl, secret: { secretName: {{ .Values.kafka.sasl.existingSecret }}, defaultMode: 288 } }
{{- end }}
{{- with .Values.registry.existingSecret }}
- { name: registry, secret: { secretName: {{ . }}, defaultMode: 288 } }
{{- end }}
{{- end }}

{{- define "penstock.volumeMounts" -}}
- { name: tmp, mountPath: /tmp }
- { name: postgres, mountPath: /etc/penstock/postgres, readOnly: true }
{{- if .Values.kafka.tls.existingSecret }}
- { name: kafka-tls, mountPath: /etc/penstock/kafka-tls, readOnly: true }
{{- end }}
{{- if .Values.kafka.sasl.mechanism }}
- { name: kafka-sasl, mountPath: /etc/penstock/kafka-sasl, readOnly: true }
{{- end }}
{{- if .Values.registry.existingSecret }}
- { name: registry, mountPath: /etc/penstock/registry, readOnly: true }
{{- end }}
{{- end }}

{{- define "penstock.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "penstock.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/*
What every Pod has: identity, security, where it may run. Takes a dict of: root; values, with nodeSelector and its like; account, the
name of the ServiceAccount.
*/}}
{{- define "penstock.podSpec" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- include "penstock.podSecurity" .root | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - { name: {{ kindIs "string" . | ternary . (get (kindIs "string" . | ternary dict .) "name") }} }
  {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
