{{/* The head of a pod's spec. Given: root, component, values (of the component), and index, shard, model. */}}
{{- define "omma.pod" -}}
{{- $values := .root.Values }}
serviceAccountName: {{ include "omma.fullname" .root }}-{{ .component }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "omma.termination" .root }}
{{- with $values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- if .component | ne "migration" }}
topologySpreadConstraints:
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    whenUnsatisfiable: {{ $values.spread.whenUnsatisfiable }}
    labelSelector:
      matchLabels: {{ include "omma.selector" . | nindent 8 }}
  {{- if $values.spread.zones }}
  - topologyKey: topology.kubernetes.io/zone
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "omma.selector" . | nindent 8 }}
  {{- end }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{ include "omma.selector" . | nindent 14 }}
{{- end }}
{{- end }}

{{- define "omma.termination" -}}
{{ add .Values.preStopSeconds (ceil .Values.drainSeconds) 30 }}
{{- end }}

{{/* Image, privileges and mounts of a container of Omma. Given: root, component, module ("" for another command), image (unset: that of all). */}}
{{- define "omma.container" -}}
image: {{ .image | default (include "omma.image" .root) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
{{- with .module }}
command: [python, -m, {{ . }}]
{{- end }}
securityContext: {{ include "omma.privileges" .root | nindent 2 }}
{{- end }}

{{- define "omma.privileges" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/*
Probes of a process with a gRPC port, and what goes before SIGTERM. Kubernetes' own gRPC probe speaks no TLS, so with it
health has a port of its own. It has five minutes to start: twelve that began at once on two busy cores took two, and
one that is killed on the way begins anew. Two minutes without a sign of life end it: at a load of 50 on two cores
indexers were silent for one, and to begin anew made that worse. Given: root.
*/}}
{{- define "omma.probes" -}}
{{- $port := ternary 9091 9090 .root.Values.tls.enabled }}
startupProbe:
  grpc: {port: {{ $port }}, service: liveness}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 150
livenessProbe:
  grpc: {port: {{ $port }}, service: liveness}
  periodSeconds: 20
  timeoutSeconds: 15
  failureThreshold: 6
readinessProbe:
  grpc: {port: {{ $port }}}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 2
{{- include "omma.prestop" .root }}
{{- end }}

{{- define "omma.prestop" }}
lifecycle:
  preStop:
    sleep: {seconds: {{ .Values.preStopSeconds }}}
{{- end }}

{{- define "omma.ports" -}}
- {name: grpc, containerPort: 9090}
- {name: metrics, containerPort: 9464}
{{- end }}

{{/* Given: root, component, and storage: whether it opens the storage, data: whether /data is a disk of its own, topology:
whether it follows which indexes there are. */}}
{{- define "omma.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if and .storage (not .data) }}
- {name: scratch, mountPath: /data}
{{- end }}
{{- if .topology }}
- {name: topology, mountPath: /etc/omma/topology, readOnly: true}
{{- end }}
{{- if .root.Values.tls.enabled }}
- {name: tls, mountPath: /etc/omma/tls, readOnly: true}
{{- end }}
{{- if and .storage .root.Values.kafka.tlsSecret }}
- {name: kafka-tls, mountPath: /etc/omma/kafka, readOnly: true}
{{- end }}
{{- end }}

{{- define "omma.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- if and .storage (not .data) }}
- name: scratch
  emptyDir: {sizeLimit: 1Gi}
{{- end }}
{{- if .topology }}
- name: topology
  configMap: {name: {{ include "omma.fullname" .root }}-topology}
{{- end }}
{{- if .root.Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "omma.tls.secret" . }}
    defaultMode: 0440
{{- end }}
{{- if and .storage .root.Values.kafka.tlsSecret }}
- name: kafka-tls
  secret:
    secretName: {{ .root.Values.kafka.tlsSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "omma.tls.secret" -}}
{{ .root.Values.tls.existingSecret | default (printf "%s-%s-tls" (include "omma.fullname" .root) .component) }}
{{- end }}

{{- define "omma.pod.annotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: "9464"
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}
