#!/usr/bin/env bash
# Runs a Java program of one source file with Kafka's jars; it is compiled when its text has changed.
#   java.sh PATH/Name.java ARGS...
# The JVM takes the place of this script, so that its process id is the caller's child. Settings as in tool.sh; needs javac.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -ge 1 ] || die "usage: java.sh PATH/Name.java args..."
source=$1; shift
need_libs
name=$(basename "$source" .java)
classes=$KHOME/classes/$name-$(sha256sum <"$source" | cut -c -16)
if [ ! -d "$classes" ]; then
  tmp=$(mktemp -d "$KHOME/.classes.XXXXXX")
  "${JAVA}c" -Xlint:all -Werror -Xlint:-serial -Xlint:-path -Xlint:-processing -proc:none -cp "$LIBS/*" -d "$tmp" "$source" >&2 || { rm -rf "$tmp"; die "$source does not compile"; }
  mkdir -p "$KHOME/classes"
  mv -T "$tmp" "$classes" 2>/dev/null || rm -rf "$tmp" # another may have been faster
fi
[ "${1:-}" != --compile ] || exit 0
exec "$JAVA" -Xmx"${KAFKA_TOOL_HEAP:-256M}" -XX:+UseSerialGC -XX:TieredStopAtLevel="${KAFKA_TOOL_TIER:-1}" -Xshare:auto \
  -Djava.awt.headless=true -Dlog4j2.configurationFile="$HERE/log4j2-tool.xml" \
  -Dklamm.loglevel="${KAFKA_LOG_LEVEL:-WARN}" ${KAFKA_TOOL_OPTS:-} -cp "$classes:$LIBS/*" "$name" "$@"
