#!/usr/bin/env bash
# curl and bash alone. usage: bash curl.sh http://127.0.0.1:8080 alice
set -euo pipefail
url=${1:-http://127.0.0.1:8080} user=${2:-alice}
# With a file of yours, the next run goes on where this one was.
cursor_file=${CURSOR_FILE:-$(mktemp)}
again=(--silent --show-error --fail --retry 20 --retry-all-errors --retry-delay 1)

# Reads the member of this name, a text, from a JSON object.
member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

log_in() {
  curl "${again[@]}" "$url/login" -H 'content-type: application/json' \
    -d "{\"username\":\"$user\",\"password\":\"$user-password\"}" | member accessToken
}

graphql() {
  curl "${again[@]}" "$url/graphql" -H "authorization: Bearer $token" -H 'content-type: application/json' -d "$1"
}

# Reads an event stream, and prints the data of each event. An event is there when its empty line is: only then its cursor counts.
# Returns 1 when the stream has ended before the operation has.
read_events() {
  local name='' id='' data='' line
  while IFS= read -r line; do
    case $line in
      'event: '*) name=${line#event: } ;;
      'id: '*) id=${line#id: } ;;
      'data: '*) data=${line#data: } ;;
      '')
        # The access token has expired: as if the connection had broken.
        if [[ $data == *'"code":"UNAUTHENTICATED"'* ]]; then return 1; fi
        if [ "$name" = next ]; then printf '%s\n' "$data"; fi
        if [ -n "$id" ]; then printf '%s' "$id" >"$cursor_file.new" && mv "$cursor_file.new" "$cursor_file"; fi
        if [ "$name" = complete ]; then return 0; fi
        name='' id='' data=''
        ;;
    esac
  done
  return 1
}

subscribe() {
  local where
  while true; do
    where=()
    if [ -s "$cursor_file" ]; then where=(-H "last-event-id: $(cat "$cursor_file")"); fi
    # A gateway pings every 8 s. Less than a byte a second for 25 s means that nobody is there any more.
    curl --silent --no-buffer --fail --speed-limit 1 --speed-time 25 "$url/graphql" "${where[@]}" \
      -H "authorization: Bearer $token" -H 'content-type: application/json' -H 'accept: text/event-stream' \
      -d '{"query":"subscription { transactions { id changedBy newBalance } }","extensions":{"from":"earliest"}}' |
      read_events && break
    sleep 1
    token=$(log_in)
  done
}

transfer_money='mutation($commandId: ID, $token: String!, $to: String!) { transferMoney(commandId: $commandId, token: $token, amount: 1, from: \"cash\", to: $to, descr: \"curl\") { commandId success reason } }'
pay() {
  graphql "{\"query\":\"$transfer_money\",\"variables\":{\"commandId\":\"$1\",\"token\":\"$secret\",\"to\":\"$iban\"}}"
  echo
}

token=$(log_in)
account=$(graphql '{"query":"mutation { openAccount { iban token } }"}')
iban=$(member iban <<<"$account")
secret=$(member token <<<"$account")

# The same command twice, as after an answer that was lost: one payment, and the same verdict.
command_id=$(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen)
pay "$command_id"
pay "$command_id"
subscribe
