# Sourced by bin/demo, bin/test and bin/chaos: the virtual environment, and commands that end when the script does.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
me=bin/$(basename -- "$0")

say() {
    printf '%s: %s\n' "$me" "$*" >&2
}

# make_venv LOCK: have .venv hold what the lock names, and Ark itself. Quick where nothing has changed since.
make_venv() (
    set -e
    cd -- "$root"
    if command -v flock >/dev/null; then flock 9; fi # one at a time in one checkout
    is_made "$1" && exit
    python=$(find_python)
    say "making .venv from $1 with $("$python" --version), $(command -v "$python")"
    is_usable || "$python" -m venv --clear .venv
    rm -rf .venv/made
    install -r "$1"
    install --no-deps --no-build-isolation -e .
    # Where PYTHONDONTWRITEBYTECODE is set nobody else would, and `ark --help` would take three times as long.
    .venv/bin/python -m compileall -q -j 2 .venv/lib ark handlers media conf || true
    mkdir .venv/made
    pwd -P >.venv/made/here
    for file in setup.py requirements.lock "$1"; do # what the tests need holds what Ark needs
        cp -- "$file" ".venv/made/$file"
    done
) 9<"$root"

NEW_ENOUGH='import sys; sys.exit(sys.version_info < (3, 11))'

is_made() {
    is_usable && cmp -s "$1" ".venv/made/$1" && cmp -s setup.py .venv/made/setup.py
}

# It runs, and was not made for another folder: its scripts name theirs.
is_usable() {
    .venv/bin/python -c "$NEW_ENOUGH" 2>/dev/null && [ "$(cat .venv/made/here 2>/dev/null || pwd -P)" = "$(pwd -P)" ]
}

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c "$NEW_ENOUGH" 2>/dev/null; then
            has_venv "$candidate"
            printf '%s\n' "$candidate"
            return
        fi
    done
    say "needs Python 3.11 or later as python3; on Debian 12 or later: apt-get install python3 python3-venv"
    exit 69
}

has_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "apt-get install python3-venv"
        { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install python3-venv; } >&2
        "$1" -c 'import ensurepip, venv' && return
    fi
    say "$1 cannot make virtual environments; on Debian: apt-get install python3-venv"
    exit 69
}

# With uv, which is quicker; with pip where uv cannot be had.
install() {
    local python=.venv/bin/python
    [ -x .venv/bin/uv ] || "$python" -m pip install --quiet --disable-pip-version-check uv || true
    .venv/bin/uv pip install --quiet --python "$python" "$@" ||
        "$python" -m pip install --quiet --disable-pip-version-check "$@"
}

# attend COMMAND...: run it in a process group of its own, which ends when a signal ends this script.
attend() {
    set -m
    "$@" </dev/null &
    set +m
    wait "$!"
}

# To be trapped: pass a signal on to every job's whole group, see them end, and end with the signal's own exit code.
interrupted() {
    trap '' INT TERM HUP
    local group
    for group in $(jobs -p); do
        kill -s "$1" -- "-$group" 2>/dev/null || continue
        for _ in {1..150}; do
            kill -0 -- "-$group" 2>/dev/null || break
            sleep 0.1
        done
        kill -s KILL -- "-$group" 2>/dev/null || true
    done
    exit "$2"
}

trap 'interrupted INT 130' INT
trap 'interrupted TERM 143' TERM
trap 'interrupted HUP 129' HUP
