{{/* Where the app is, in a Pod. */}}
{{- define "penstock.appFolder" -}}
{{- if .Values.app.folder }}{{ .Values.app.folder }}
{{- else if .Values.app.bundled }}/app/apps/{{ .Values.app.bundled }}
{{- else }}/etc/penstock/app
{{- end }}
{{- end }}

{{/* Environment that all services share. A path after `-` may be absent. */}}
{{- define "penstock.env" -}}
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- { name: PENSTOCK_ADMIN_HOST, value: "0.0.0.0" }
- { name: PENSTOCK_ADMIN_PORT, value: "9090" }
{{- /* In the Pod's own volume, which outlives its containers. */}}
- { name: PENSTOCK_WATCHDOG_FILE, value: /tmp/watchdog }
{{- /* Groups are names in the whole Kafka cluster: two releases must not share them. */}}
{{- range $section, $group := dict "OWNERSHIP" "gateway" "HANDLER" "command-handler" "PROJECTOR" "projector" }}
- { name: PENSTOCK_{{ $section }}_GROUP, value: {{ printf "%s-%s-%s" $.Release.Namespace (include "penstock.fullname" $) $group | quote }} }
{{- end }}
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
- { name: PENSTOCK_KAFKA_SASL_MECHANISM, value: {{ .mechanism | quote }} }
- { name: PENSTOCK_KAFKA_SASL_USERNAME_FILE, value: {{ printf "/etc/penstock/kafka-sasl/%s" .secretKeys.username | quote }} }
- { name: PENSTOCK_KAFKA_SASL_PASSWORD_FILE, value: {{ printf "/etc/penstock/kafka-sasl/%s" .secretKeys.password | quote }} }
{{- end }}
{{- end }}
- { name: PENSTOCK_POSTGRES_URL_FILE, value: {{ printf "/etc/penstock/postgres/%s" .Values.postgres.secretKeys.url | quote }} }
- { name: PENSTOCK_POSTGRES_TLS_CA_FILE, value: {{ printf "-/etc/penstock/postgres/%s" .Values.postgres.secretKeys.ca | quote }} }
{{- end }}

{{/* The chart's variables, without those that `values.env` gives, and those: server-side apply refuses a name that is there twice. */}}
{{- define "penstock.mergedEnv" -}}
{{- $given := list }}
{{- range .values.env }}
{{- $given = append $given .name }}
{{- /* A secret comes from a variable or from the file that one names, not from both. */}}
{{- $given = append $given (ternary (trimSuffix "_FILE" .name) (printf "%s_FILE" .name) (hasSuffix "_FILE" .name)) }}
{{- end }}
{{- $drain := dict "name" "PENSTOCK_DRAIN_TIMEOUT_MS" "value" (mul .values.drainSeconds 1000 | toString) }}
{{- $merged := list }}
{{- range concat (include "penstock.env" .root | fromYamlArray) (list $drain) (default "[]" .env | fromYamlArray) }}
{{- if not (has .name $given) }}{{ $merged = append $merged . }}{{ end }}
{{- end }}
{{- concat $merged .values.env | toYaml }}
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
- { name: PENSTOCK_ROUTE_JWKS_URL, value: {{ printf "http://%s-router.%s.svc.%s:%d/.well-known/jwks.json" (include "penstock.fullname" .) .Release.Namespace .Values.clusterDomain (int .Values.router.service.port) | quote }} }
- { name: PENSTOCK_HTTP_LISTEN, value: "0.0.0.0:8080" }
{{- end }}

{{- define "penstock.volumes" -}}
- { name: tmp, emptyDir: { sizeLimit: 64Mi } }
- { name: postgres, secret: { secretName: {{ .Values.postgres.existingSecret }}, defaultMode: 0440 } }
{{- if or .Values.app.schema .Values.app.existingConfigMap }}
- { name: app, configMap: { name: {{ default (printf "%s-app" (include "penstock.fullname" .)) .Values.app.existingConfigMap }} } }
{{- end }}
{{- with .Values.kafka.tls.existingSecret }}
- { name: kafka-tls, secret: { secretName: {{ . }}, defaultMode: 0440 } }
{{- end }}
{{- if .Values.kafka.sasl.mechanism }}
- { name: kafka-sasl, secret: { secretName: {{ .Values.kafka.sasl.existingSecret }}, defaultMode: 0440 } }
{{- end }}
{{- end }}

{{- define "penstock.volumeMounts" -}}
- { name: tmp, mountPath: /tmp }
- { name: postgres, mountPath: /etc/penstock/postgres, readOnly: true }
{{- if or .Values.app.schema .Values.app.existingConfigMap }}
- { name: app, mountPath: /etc/penstock/app, readOnly: true }
{{- end }}
{{- if .Values.kafka.tls.existingSecret }}
- { name: kafka-tls, mountPath: /etc/penstock/kafka-tls, readOnly: true }
{{- end }}
{{- if .Values.kafka.sasl.mechanism }}
- { name: kafka-sasl, mountPath: /etc/penstock/kafka-sasl, readOnly: true }
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
The Deployment of one service. Takes a dict of: root; component, its name; values, its part of the values; service, its folder in the
image; env, secrets and ports, further ones as YAML; ready, the path that says whether it is ready.
*/}}
{{- define "penstock.deployment" -}}
{{- $root := .root }}
{{- $values := .values }}
{{- $scope := dict "root" $root "component" .component }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "penstock.fullname" $root }}-{{ .component }}
  labels: {{- include "penstock.labels" $scope | nindent 4 }}
spec:
  {{- if and (not (dig "autoscaling" "enabled" false $values)) (not (kindIs "invalid" $values.replicas)) }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  minReadySeconds: 2
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels: {{- include "penstock.selectorLabels" $scope | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "penstock.labels" $scope | nindent 8 }}
        {{- with $values.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- if $root.Values.app.schema }}
        checksum/app: {{ $root.Values.app.schema | sha256sum }}
        {{- end }}
        {{- with $values.podAnnotations }}{{ toYaml . | nindent 8 }}{{ end }}
    spec:
      serviceAccountName: {{ include "penstock.serviceAccountName" $root }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      # The watchdog ends a process that hangs; Linux would keep its signal from the first process of a PID namespace.
      shareProcessNamespace: true
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
      securityContext: {{- include "penstock.podSecurity" $root | nindent 8 }}
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- if kindIs "invalid" $values.topologySpreadConstraints }}
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "penstock.selectorLabels" $scope | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
        {{- else }}
        {{- toYaml $values.topologySpreadConstraints | nindent 8 }}
        {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "penstock.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [services/{{ .component }}/main.js]
          env: {{- include "penstock.mergedEnv" . | nindent 12 }}
          ports:
            - { name: admin, containerPort: 9090 }
            {{- with .ports }}{{ . | nindent 12 }}{{ end }}
          startupProbe:
            httpGet: { path: /livez, port: admin }
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet: { path: /livez, port: admin }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: { path: {{ .ready | quote }}, port: admin }
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 2
          {{- if gt (int $values.preStopSleepSeconds) 0 }}
          lifecycle:
            preStop: { sleep: { seconds: {{ $values.preStopSleepSeconds }} } }
          {{- end }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          securityContext: {{- include "penstock.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            {{- include "penstock.volumeMounts" $root | nindent 12 }}
            {{- range .secrets }}
            - { name: {{ .name }}, mountPath: /etc/penstock/{{ .name }}, readOnly: true }
            {{- end }}
      volumes:
        {{- include "penstock.volumes" $root | nindent 8 }}
        {{- range .secrets }}
        - { name: {{ .name }}, secret: { secretName: {{ .secret }}, defaultMode: 0440 } }
        {{- end }}
{{- end }}
