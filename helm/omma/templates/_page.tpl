{{/* NGINX's configuration, which is Compose's, with this release's names. Given: the root. */}}
{{- define "omma.page.configuration" -}}
{{- $gateway := printf "%s-gateway.%s.svc.%s" (include "omma.fullname" .) .Release.Namespace .Values.page.nginx.clusterDomain }}
{{- .Files.Get "page/nginx.conf" | replace "$gateway gateway:" (printf "$gateway %s:" $gateway) | replace "127.0.0.11" .Values.page.nginx.resolver }}
{{- end }}
