{{/* What everything of a release is called: NAME-omma-COMPONENT. */}}
{{- define "omma.fullname" -}}
{{ .Release.Name }}-omma
{{- end }}

{{/* A model as part of a name: letters, digits, dashes. */}}
{{- define "omma.slug" -}}
{{ regexReplaceAll "[^a-z0-9]+" (lower .) "-" | trunc 40 | trimAll "-" }}
{{- end }}

{{/* The models that indexes name, each once, as a JSON list. */}}
{{- define "omma.models" -}}
{{- $models := list }}
{{- range .Values.indexes }}{{ $models = append $models .model }}{{ end }}
{{- uniq $models | toJson }}
{{- end }}

{{/* The name of a shard's StatefulSet and of its headless service. Given: root, index, shard. */}}
{{- define "omma.shard.name" -}}
{{ include "omma.fullname" .root }}-shard-{{ .index.name }}-{{ .shard }}
{{- end }}

{{/* Where a model's embedder is asked. Given: root, model. */}}
{{- define "omma.egs.name" -}}
{{ include "omma.fullname" .root }}-egs-{{ include "omma.slug" .model }}
{{- end }}

{{/* Labels by which pods are found; they never change. Given: root, component, and for a shard index and shard, for EGS model. */}}
{{- define "omma.selector" -}}
app.kubernetes.io/name: omma
app.kubernetes.io/instance: {{ .root.Release.Name }}
omma.io/component: {{ .component }}
{{- with .index }}
omma.io/index: {{ .name }}
{{- end }}
{{- if hasKey . "shard" }}
omma.io/shard: {{ .shard | quote }}
{{- end }}
{{- with .model }}
omma.io/model: {{ include "omma.slug" . }}
{{- end }}
{{- end }}

{{/* Labels of every resource. Given: as omma.selector. */}}
{{- define "omma.labels" -}}
{{ include "omma.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* An index's FAISS factory, empty for the code's own. A GPU takes no codes of four bits, which those are. Given: an index. */}}
{{- define "omma.factory" -}}
{{ .factory | default (ternary "OPQ64_256,IVF{nlist},PQ64x8" "" (gt (int .gpu) 0)) }}
{{- end }}

{{- define "omma.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}
