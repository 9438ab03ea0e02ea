{{/*
The Deployment of one service. Takes a dict of: root; component, its name; values, its part of the values; service, its folder in the
image; env, secrets and ports, further ones as YAML; ready, the path that says whether it is ready.
*/}}
{{- define "penstock.deployment" -}}
{{- $root := .root }}
{{- $values := .values }}
{{- $scope := dict "root" $root "component" .component }}
{{- $traced := eq (include "penstock.traced" $scope) "true" }}
{{- $secrets := default list .secrets }}
{{- if and $traced $root.Values.tracing.existingSecret }}
{{- $secrets = append $secrets (dict "name" "tracing" "secret" $root.Values.tracing.existingSecret) }}
{{- end }}
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
      {{- include "penstock.podSpec" (dict "root" $root "values" $values "account" (include "penstock.serviceAccountName" $root)) | nindent 6 }}
      # The watchdog ends a process that hangs; Linux would keep its signal from the first process of a PID namespace.
      shareProcessNamespace: true
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
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
          {{- $drain := printf "- { name: PENSTOCK_DRAIN_TIMEOUT_MS, value: %q }" (mul $values.drainSeconds 1000 | toString) }}
          {{- $env := list (include "penstock.env" $root) $drain (default "" .env) (ternary (include "penstock.tracingEnv" $root) "" $traced) | join "\n" }}
          env: {{- include "penstock.mergedEnv" (dict "env" $env "given" $values.env) | nindent 12 }}
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
            {{- with include "penstock.appMount" $root }}{{ . | trim | nindent 12 }}{{ end }}
            {{- range $secrets }}
            - { name: {{ .name }}, mountPath: /etc/penstock/{{ .name }}, readOnly: true }
            {{- end }}
      volumes:
        {{- include "penstock.volumes" $root | nindent 8 }}
        {{- with include "penstock.appVolume" $root }}{{ . | trim | nindent 8 }}{{ end }}
        {{- range $secrets }}
        - { name: {{ .name }}, secret: { secretName: {{ .secret }}, defaultMode: 288 } }
        {{- end }}
{{- end }}
