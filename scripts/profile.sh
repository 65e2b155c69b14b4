#!/usr/bin/env bash
# Derives data/profile.json from the published traces (https://github.com/alibaba/clusterdata):
# nodes of cluster-trace-v2026-spot-gpu, jobs of cluster-trace-gpu-v2023 (openb_pod_list_default).
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -ne 2 ]; then
    echo "usage: scripts/profile.sh NODES.csv JOBS.csv" >&2
    exit 2
fi
exec cargo run --quiet --bin sluice -- replay --nodes "$1" --jobs "$2" \
    --grades data/grade_map.csv --write-profile data/profile.json
