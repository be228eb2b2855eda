{{/* Peers that are pods of this release. Given: root, components (a list). */}}
{{- define "omma.peers" -}}
{{- range .components }}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: omma
      app.kubernetes.io/instance: {{ $.root.Release.Name }}
      omma.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* A way to something outside. Given: one of networkPolicy's servers, ports and to. */}}
{{- define "omma.way" -}}
- ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .to }}
  to: {{ toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The edges of a component. Given: root, component, from (who calls its gRPC port), to (whose it calls), outside (keys of networkPolicy). */}}
{{- define "omma.networkpolicy" -}}
{{- $policy := .root.Values.networkPolicy }}
{{- if $policy.enabled }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "omma.fullname" .root }}-{{ .component }}
  labels: {{ include "omma.labels" (dict "root" .root "component" .component) | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{ include "omma.selector" (dict "root" .root "component" .component) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports: [{port: metrics, protocol: TCP}]
      {{- with $policy.metricsFrom }}
      from: {{ toYaml . | nindent 8 }}
      {{- else }}
      from: [{namespaceSelector: {}}]
      {{- end }}
    {{- with .from }}
    - ports: [{port: grpc, protocol: TCP}]
      from: {{ include "omma.peers" (dict "root" $.root "components" .) | nindent 8 }}
    {{- end }}
    {{- if eq .component "gateway" }}
    - ports:
        - {port: http, protocol: TCP}
        - {port: grpc, protocol: TCP}
      {{- with $policy.gatewayFrom }}
      from:
        {{- toYaml . | nindent 8 }}
        {{- $own := list "test" | concat (ternary (list "page") (list ) $.root.Values.page.nginx.enabled) }}
        {{- include "omma.peers" (dict "root" $.root "components" $own) | nindent 8 }}
      {{- end }}
    {{- end }}
  {{- if not (or .to .outside .root.Values.traces.endpoint) }}
  egress: []
  {{- else }}
  egress:
    {{- with .to }}
    - ports: [{port: 9090, protocol: TCP}]
      to: {{ include "omma.peers" (dict "root" $.root "components" .) | nindent 8 }}
    {{- end }}
    {{- range .outside }}
    {{- include "omma.way" (get $policy .) | nindent 4 }}
    {{- end }}
    {{- if .root.Values.traces.endpoint }}
    {{- include "omma.way" $policy.traces | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
