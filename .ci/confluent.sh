#!/usr/bin/env bash
# Runs Python with confluent-kafka (librdkafka) of one version, which it installs the first time.
#   confluent.sh FILE.py ARGS...
set -euo pipefail
venv=${KLAMM_PEERS:-$HOME/.cache/klamm-peers}/venv
if ! "$venv/bin/python" -c 'import confluent_kafka' 2>/dev/null; then
  python3 -m venv "$venv" && "$venv/bin/pip" install -q confluent-kafka==2.11.1 >&2
fi
exec "$venv/bin/python" "$@"
