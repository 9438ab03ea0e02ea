{{/* Rules across values, which JSON Schema cannot say. Each failure says what to do. */}}
{{- define "penstock.checks" -}}
{{- $apps := list }}
{{- with .Values.app.schema }}{{ $apps = append $apps "app.schema" }}{{ end }}
{{- with .Values.app.existingConfigMap }}{{ $apps = append $apps "app.existingConfigMap" }}{{ end }}
{{- with .Values.app.folder }}{{ $apps = append $apps "app.folder" }}{{ end }}
{{- with .Values.app.bundled }}{{ $apps = append $apps "app.bundled" }}{{ end }}
{{- if ne (len $apps) 1 }}
{{- fail (printf "set exactly one of app.schema, app.existingConfigMap, app.folder and app.bundled; %s" (ternary "none is set" (printf "set are %s" (join ", " $apps)) (empty $apps))) }}
{{- end }}
{{- if not .Values.postgres.existingSecret }}
{{- fail "postgres.existingSecret is required: a Secret with the URL of PostgreSQL under the key `url`" }}
{{- end }}
{{- if not .Values.cursor.existingSecret }}
{{- fail "cursor.existingSecret is required: a Secret with the keys that sign cursors under the key `secrets`, such as k1:<base64 of 32 random bytes>" }}
{{- end }}
{{- if eq (empty .Values.redis.url) (empty .Values.redis.existingSecret) }}
{{- fail "set redis.url, or redis.existingSecret where the URL holds a password; one of them" }}
{{- end }}
{{- if and .Values.kafka.sasl.mechanism (not .Values.kafka.sasl.existingSecret) }}
{{- fail "kafka.sasl.mechanism needs kafka.sasl.existingSecret, a Secret with `username` and `password`" }}
{{- end }}
{{- if and (ne .Values.auth.issuer "penstock") (not .Values.auth.jwksUrl) }}
{{- fail "auth.issuer other than penstock needs auth.jwksUrl" }}
{{- end }}
{{- range $name, $one := dict "gateway" .Values.gateway "commandHandler" .Values.commandHandler }}
{{- if and $one.autoscaling.enabled (gt (int $one.autoscaling.maxReplicas) (int $.Values.kafka.partitions)) }}
{{- fail (printf "%s.autoscaling.maxReplicas is %d, but only %d partitions (kafka.partitions) can be owned: a further replica would stand idle" $name (int $one.autoscaling.maxReplicas) (int $.Values.kafka.partitions)) }}
{{- end }}
{{- end }}
{{- range $name, $one := dict "gateway" .Values.gateway "router" .Values.router "commandHandler" .Values.commandHandler "projector" .Values.projector }}
{{- $needed := add $one.drainSeconds $one.preStopSleepSeconds }}
{{- if le (int $one.terminationGracePeriodSeconds) (int $needed) }}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d and must exceed drainSeconds and preStopSleepSeconds together, which are %d" $name (int $one.terminationGracePeriodSeconds) (int $needed)) }}
{{- end }}
{{- with $one.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail (printf "%s.autoscaling.minReplicas is greater than its maxReplicas" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.gateway.autoscaling.enabled (not .Values.gateway.autoscaling.targetConnections) (not .Values.gateway.autoscaling.targetCPUUtilizationPercentage) }}
{{- fail "gateway.autoscaling needs targetConnections or targetCPUUtilizationPercentage" }}
{{- end }}
{{- with .Values.autoscaling.keda }}
{{- $asks := or (and $.Values.gateway.autoscaling.enabled $.Values.gateway.autoscaling.targetConnections) (and $.Values.commandHandler.autoscaling.enabled (eq (include "penstock.handlerRuns" $) "true")) }}
{{- if and .enabled $asks (not .prometheusAddress) }}
{{- fail "autoscaling.keda.enabled needs autoscaling.keda.prometheusAddress: the Prometheus that knows connections and lag" }}
{{- end }}
{{- end }}
{{- include "penstock.unknownVariables" . }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: the Gateways that it is attached to" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.enabled needs ingress.hosts" }}
{{- end }}
{{- end }}

{{/*
Values that need variables which the services of this version may not have yet: a service refuses a variable that it does not know, and
would not start. `files/variables.txt` lists those that it knows.
*/}}
{{- define "penstock.unknownVariables" -}}
{{- $known := .Files.Get "files/variables.txt" | splitList "\n" }}
{{- $needed := list
  (dict "value" "auth.existingSecret" "given" .Values.auth.existingSecret "variable" "PENSTOCK_AUTH_KEY_SECRETS_FILE")
  (dict "value" "internalTls.existingSecret" "given" .Values.internalTls.existingSecret "variable" "PENSTOCK_INTERNAL_TLS_CERT_FILE")
  (dict "value" "registry.url" "given" .Values.registry.url "variable" "PENSTOCK_REGISTRY_URL")
  (dict "value" "registry.existingSecret" "given" .Values.registry.existingSecret "variable" "PENSTOCK_REGISTRY_PASSWORD_FILE") }}
{{- range $needed }}
{{- if and .given (not (has .variable $known)) }}
{{- fail (printf "%s is not in this version yet: its services do not know %s. Leave it empty" .value .variable) }}
{{- end }}
{{- end }}
{{- end }}
