{{/* OMMA_… of every process, as YAML of a map. Given: root. */}}
{{- define "omma.settings.process" -}}
{{- $values := .root.Values }}
OMMA_BIND: 0.0.0.0
OMMA_GRPC_PORT: "9090"
OMMA_METRICS_PORT: "9464"
OMMA_LOG_LEVEL: {{ $values.logLevel }}
OMMA_DRAIN_SECONDS: {{ $values.drainSeconds | quote }}
{{- if $values.traces.endpoint }}
OMMA_TRACES__ENDPOINT: {{ $values.traces.endpoint }}
OMMA_TRACES__SHARE: {{ $values.traces.share | quote }}
{{- end }}
{{- if $values.tls.enabled }}
OMMA_PROBE_PORT: "9091"
OMMA_TLS__CERTIFICATE: /etc/omma/tls/tls.crt
OMMA_TLS__KEY: /etc/omma/tls/tls.key
OMMA_TLS__AUTHORITY: /etc/omma/tls/ca.crt
{{- end }}
{{- end }}

{{/* What reaches PostgreSQL, Kafka and S3, without secrets, as YAML of a map. Given: root. */}}
{{- define "omma.settings.storage" -}}
{{- $values := .root.Values }}
OMMA_DATA_DIR: /data
OMMA_KAFKA__BROKERS: {{ $values.kafka.brokers }}
OMMA_KAFKA__REPLICATION_FACTOR: {{ $values.kafka.replicationFactor | quote }}
{{- with $values.kafka.prefix }}
OMMA_KAFKA__PREFIX: {{ . | quote }}
{{- end }}
{{- if ne $values.kafka.securityProtocol "PLAINTEXT" }}
OMMA_KAFKA__SECURITY_PROTOCOL: {{ $values.kafka.securityProtocol }}
{{- if hasPrefix "SASL" $values.kafka.securityProtocol }}
OMMA_KAFKA__SASL_MECHANISM: {{ $values.kafka.saslMechanism }}
{{- end }}
{{- end }}
{{- if $values.kafka.tlsSecret }}
OMMA_KAFKA__AUTHORITY: /etc/omma/kafka/ca.crt
{{- end }}
OMMA_S3__BUCKET: {{ $values.s3.bucket }}
OMMA_S3__PREFIX: {{ $values.s3.prefix }}
OMMA_S3__REGION: {{ $values.s3.region }}
OMMA_S3__CREATE_BUCKET: {{ $values.s3.createBucket | quote }}
{{- with $values.s3.endpoint }}
OMMA_S3__ENDPOINT: {{ . }}
{{- end }}
{{- with $values.s3.publicEndpoint }}
OMMA_S3__PUBLIC_ENDPOINT: {{ . }}
{{- end }}
{{- with $values.s3.inbox }}
OMMA_S3__INBOX: {{ . }}
{{- end }}
{{- end }}

{{/* The secrets of the storage, as entries of `env`. Given: root, and postgresSecret for another one's name. */}}
{{- define "omma.secrets.storage" -}}
{{- $values := .root.Values }}
- name: OMMA_POSTGRES__URL
  valueFrom:
    secretKeyRef:
      name: {{ .postgresSecret | default $values.postgres.existingSecret | default (printf "%s-postgres" (include "omma.fullname" .root)) }}
      key: {{ ternary $values.postgres.existingSecretKey "url" (ne $values.postgres.existingSecret "") }}
{{- with $values.kafka.existingSecret }}
- name: OMMA_KAFKA__USERNAME
  valueFrom: {secretKeyRef: {name: {{ . }}, key: username}}
- name: OMMA_KAFKA__PASSWORD
  valueFrom: {secretKeyRef: {name: {{ . }}, key: password}}
{{- end }}
{{- include "omma.secrets.s3" . }}
{{- end }}

{{- define "omma.secrets.s3" -}}
{{- with .root.Values.s3.existingSecret }}
- name: OMMA_S3__ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: access-key}}
- name: OMMA_S3__SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: secret-key}}
{{- end }}
{{- end }}

{{/*
Settings as entries of `env`, each name once: what a component's values say wins over what the chart says, and that
over the values of all. Given: root, own (YAML of a map), settings (of the component).
*/}}
{{- define "omma.env" -}}
{{- $process := include "omma.settings.process" . | fromYaml }}
{{- $every := mergeOverwrite dict $process .root.Values.settings (.own | default "" | fromYaml) (.settings | default dict) }}
{{- range $name, $value := $every }}
- name: {{ $name }}
  {{- /* A whole number from values is a float, which would be written as 1e+06. */}}
  {{- if kindIs "float64" $value }}
  value: {{ ternary (int64 $value) $value (eq (floor $value) $value) | toString | quote }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end }}
