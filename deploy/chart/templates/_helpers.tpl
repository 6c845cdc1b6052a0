{{- define "channel-sync.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "channel-sync.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: service
{{- end }}

{{- define "channel-sync.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "channel-sync.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* One value of `settings` as the environment has it: YAML makes floats of whole numbers, which would come out as 1.4e+09. */}}
{{- define "channel-sync.text" -}}
{{- if kindIs "float64" . }}{{ if eq (floor .) . }}{{ printf "%.0f" . }}{{ else }}{{ . }}{{ end }}{{ else }}{{ toString . }}{{ end }}
{{- end }}

{{- /* The names of all secret settings, comma-separated. */}}
{{- define "channel-sync.secretNames" -}}
{{- concat (keys .Values.secrets) .Values.existingSecret.keys | sortAlpha | join "," }}
{{- end }}

{{- define "channel-sync.kind" -}}
{{- if eq .Values.volume.kind "perReplica" }}StatefulSet{{ else }}Deployment{{ end }}
{{- end }}

{{- define "channel-sync.replicas" -}}
{{- if eq .Values.store "sqlite" }}1{{ else }}{{ .Values.replicas }}{{ end }}
{{- end }}

{{- define "channel-sync.webhookPath" -}}
{{- .Values.settings.WEBHOOK_PATH | default "/webhooks/tencent-chat" }}
{{- end }}

{{- /* The host of PUBLIC_URL, without its port; empty if there is none, or if it has a path, which somebody else must take off. */}}
{{- define "channel-sync.publicHost" -}}
{{- $url := urlParse (.Values.settings.PUBLIC_URL | default "") }}
{{- if has $url.path (list "" "/") }}{{ regexReplaceAll ":[0-9]+$" $url.host "" }}{{ end }}
{{- end }}

{{- define "channel-sync.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "channel-sync.containerSecurity" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
{{- end }}

{{- /* Settings as files: the Secret that the chart makes, and the one that there is. `only` names the keys to mount. */}}
{{- define "channel-sync.secretVolume" -}}
{{- $only := .only }}
{{- with .root }}
name: secrets
projected:
  defaultMode: 0440
  sources:
    {{- $own := list }}
    {{- range keys .Values.secrets | sortAlpha }}{{ if or (not $only) (has . $only) }}{{ $own = append $own . }}{{ end }}{{ end }}
    {{- $theirs := list }}
    {{- range .Values.existingSecret.keys }}{{ if or (not $only) (has . $only) }}{{ $theirs = append $theirs . }}{{ end }}{{ end }}
    {{- if $own }}
    - secret:
        name: {{ include "channel-sync.fullname" . }}
        items:
          {{- range $own }}
          - { key: {{ . }}, path: {{ . }} }
          {{- end }}
    {{- end }}
    {{- if $theirs }}
    - secret:
        name: {{ .Values.existingSecret.name }}
        items:
          {{- range $theirs }}
          - { key: {{ . }}, path: {{ . }} }
          {{- end }}
    {{- end }}
{{- end }}
{{- end }}

{{- /* What the schema cannot tell. */}}
{{- define "channel-sync.check" -}}
{{- $secrets := splitList "," (include "channel-sync.secretNames" .) }}
{{- $twice := list }}
{{- range $secrets }}{{ if hasKey $.Values.settings . }}{{ $twice = append $twice . }}{{ end }}{{ end }}
{{- range .Values.existingSecret.keys }}{{ if hasKey $.Values.secrets . }}{{ $twice = append $twice . }}{{ end }}{{ end }}
{{- if $twice }}{{ fail (printf "%s: set once, in `settings`, in `secrets` or in the existing Secret" (join ", " $twice)) }}{{ end }}
{{- if and .Values.existingSecret.keys (not .Values.existingSecret.name) }}{{ fail "existingSecret.name: name the Secret that has the keys" }}{{ end }}
{{- if and .Values.existingSecret.name (not .Values.existingSecret.keys) }}{{ fail "existingSecret.keys: list the settings that the Secret has, such as [WEBHOOK_TOKENS]" }}{{ end }}
{{- if and (eq .Values.store "postgres") (not (has "DATABASE_URL" $secrets)) }}{{ fail "DATABASE_URL: with store: postgres set it in `secrets`, or list it in existingSecret.keys" }}{{ end }}
{{- if and (eq .Values.store "sqlite") (has "DATABASE_URL" $secrets) }}{{ fail "DATABASE_URL: with store: sqlite the chart sets it; set store: postgres to use your database" }}{{ end }}
{{- if and (eq .Values.store "sqlite") (eq .Values.volume.kind "shared") }}{{ fail "volume.kind: a sqlite store has a volume of its own (perReplica)" }}{{ end }}
{{- /* Helm takes names of releases that no Service may have; it refuses capitals itself. */}}
{{- if not (regexMatch "^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$" (include "channel-sync.fullname" .)) }}{{ fail (printf "%s: name the release with lower-case letters, digits and hyphens, a letter first" .Release.Name) }}{{ end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}{{ fail "ingress.host: set the public host name" }}{{ end }}
{{- end }}
