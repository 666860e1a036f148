#!/usr/bin/env bash
# docker.sh start: makes sure that a Docker daemon answers, and prints `present` or,
# when it had to start one, `started`. docker.sh stop: stops only what start started, and
# only when no container runs in it any more.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

home=$CACHE/docker # the data root: images and containers survive a stop
pidfile=$CACHE/dockerd.pid
log=$CACHE/log/dockerd.log

answers() { docker info > /dev/null 2>&1; }

# ours: is the process of our pid file a Docker daemon on our data root?
ours() {
  local pid
  pid=$(cat "$pidfile" 2> /dev/null) && [[ -n $pid ]] &&
    tr '\0' ' ' < "/proc/$pid/cmdline" 2> /dev/null | grep -q "dockerd.*--data-root $home "
}

has_sys_resource() {
  local set
  set=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
  (((0x$set >> 24) & 1))
}

install_docker() {
  local missing=()
  command -v dockerd > /dev/null && command -v docker > /dev/null || missing+=(docker.io)
  has_sys_resource || command -v jq > /dev/null || missing+=(jq)
  ((${#missing[@]} > 0)) || return 0
  "$TOOLS/apt.sh" "${missing[@]}" ||
    die "No Docker daemon answers, and ${missing[*]} could not be installed." \
      "Install and start Docker, or point make at a cluster you have: CLUSTER=current make up"
}

close_descriptors() {
  local fd
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    if ((fd > 2)); then eval "exec $fd>&-"; fi
  done
}

start() {
  if answers; then
    echo present
    return
  fi
  if [[ $(id -u) != 0 || $(uname -s) != Linux ]]; then
    die "No Docker daemon answers (docker info failed), and only root can start one." \
      "Start Docker, or join the docker group, or use a cluster you have: CLUSTER=current make up"
  fi
  install_docker
  if answers; then # where systemd runs, the package has started its service
    echo present
    return
  fi
  if [[ -f $pidfile ]] && ! ours; then rm -f "$pidfile"; fi # left by a daemon that was killed
  local runtime=() pid begun
  if ! has_sys_resource; then
    install -m 755 "$TOOLS/airgap/runc-without-sys-resource" "$CACHE/bin/runc-without-sys-resource"
    runtime=(--add-runtime "reduced=$CACHE/bin/runc-without-sys-resource" --default-runtime reduced)
  fi
  say "starting a Docker daemon (make down stops it)"
  mkdir -p "$home"
  # started from / and away from our terminal, session and descriptors (locks are among
  # them), since it outlives us
  (cd / && close_descriptors && exec setsid dockerd --data-root "$home" --pidfile "$pidfile" "${runtime[@]}" > "$log" 2>&1 < /dev/null) &
  pid=$!
  begun=$(date +%s)
  until answers; do
    sleep 0.2
    if ! kill -0 "$pid" 2> /dev/null || (($(date +%s) - begun > 60)); then
      tail -n 15 "$log" >&2
      die "The Docker daemon did not come up in $(since "$begun"); whole log: $log"
    fi
  done
  echo started
}

stop() {
  ours || { rm -f "$pidfile"; return 0; }
  local pid others
  others=$(docker ps --format '{{.Names}}' 2> /dev/null | head -3 | paste -sd ' ')
  if [[ -n $others ]]; then
    say "the Docker daemon goes on running, for: $others"
    return
  fi
  pid=$(cat "$pidfile")
  say "stopping the Docker daemon that was started for this"
  kill "$pid"
  for _ in $(seq 150); do
    kill -0 "$pid" 2> /dev/null || return 0
    sleep 0.2
  done
  die "The Docker daemon (process $pid) did not stop in 30 s; see $log"
}

case ${1:-} in
  start) once docker start ;;
  stop) once docker stop ;;
  *) die "usage: tools/docker.sh start|stop" ;;
esac
