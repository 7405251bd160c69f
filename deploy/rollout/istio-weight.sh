#!/bin/sh
# Sets the canary's share of a VirtualService, or with --expect checks it: ./istio-weight.sh PERCENT [--expect].
#
# Change: the name of the VirtualService. Missing: kubectl's own error is the result.
set -eu
name=shop
route() {
  printf '[{"op":"replace","path":"/spec/http/0/route/0/weight","value":%d},' "$((100 - $1))"
  printf '{"op":"replace","path":"/spec/http/0/route/1/weight","value":%d}]' "$1"
}
if [ "${2-}" = --expect ]; then
  found=$(kubectl get virtualservice "$name" -o 'jsonpath={.spec.http[0].route[1].weight}')
  [ "$found" = "$1" ] || { echo "the VirtualService $name has $found %, not $1 %" >&2; exit 1; }
else
  kubectl patch virtualservice "$name" --type json --patch "$(route "$1")"
fi
