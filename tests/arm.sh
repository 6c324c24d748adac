#!/usr/bin/env bash
# The bundle on ARM as the Raspberry Pi 4 has it, emulated: what it hears there must be what it hears here.
# Usage: tests/arm.sh [BUNDLE SOUNDS]    on Debian, amd64; BUNDLE defaults to the demo's and SOUNDS, a folder, to some of its
# clips, after `dvc repro`. PYTHON names the Python here. Debian's Python for arm64, the emulator and the wheels go to .arm/,
# once; the system stays as it is.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=$here/.arm
python=${PYTHON:-python3}
bundle=$(realpath -m "${1:-$here/models/demo/bundle}")
# Of onnxruntime, 1.28 and later crash in Debian 12's emulator, qemu 7.2 (and run in Debian 13's, qemu 10); before 1.22 there
# was one that a Pi 4 cannot run.
wheels=$(grep -E '^(cffi|numpy|onnxruntime|pycparser|soundfile|typing_extensions)==' "$here/constraints.txt" | tr '\n' ' ')

stop() { # EXPECTED GOT WHAT_TO_DO
    echo "tests/arm.sh: expected $1, got $2; $3" >&2
    exit 1
}
fetch() { # WHAT COMMAND...
    local log=$cache/fetch.log
    "${@:2}" > "$log" 2>&1 || stop "$1" "'$(grep -v '^$' "$log" | tail -1)'" "see $log, and whether the network is there"
}
apt() { # a package manager of its own, which sees an empty system
    local state=(-o Dir::State="$cache/apt" -o Dir::State::status="$cache/apt/status" -o Dir::Cache="$cache/apt")
    apt-get "${state[@]}" -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Architectures::=amd64 \
        -o APT::Sandbox::User= -o Debug::NoLocking=1 -qq -y --no-install-recommends "$@"
}
emulator() ( # without what it depends on: it is linked statically, in Debian 12 the one, in Debian 13 the other
    cd "$cache/apt/archives"
    apt download qemu-user-static:amd64 qemu-user:amd64
)
install_wheels() { # FOLDER PIP_OPTION...
    rm -rf "$1"
    # shellcheck disable=SC2086
    fetch "$wheels" "$python" -m pip install --quiet --no-compile --no-deps --only-binary=:all: --target "$@" $wheels
}
classify() { # CSV PYTHON...
    "${@:2}" "$bundle/classify.py" --csv "$1" . > "$work/shown.txt" 2> "$work/errors.txt" && return
    # Files without sound are reported at the end and do not stop the others; without one row something else is wrong.
    [ -n "$(sed -n 2p "$1" 2> /dev/null)" ] ||
        stop "a table from $bundle/classify.py in $PWD, run by $(basename "$2")" "'$(tail -1 "$work/errors.txt")'" "mend that first"
}

[ "$(uname -m)" = x86_64 ] || stop "a machine of amd64" "$(uname -m)" "run classify.py there as it is"
for tool in apt-get dpkg; do
    command -v "$tool" > /dev/null || stop "the program $tool" none "run it on Debian"
done
"$python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null ||
    stop "Python 3.11 or newer with pip as $python" another "run: PYTHON=python3.11 tests/arm.sh ..."
[ -e "$bundle/classify.py" ] || stop "a bundle in $bundle" none "run dvc repro, or name one"
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -e "$cache/system" ]; then
    rm -rf "$cache/apt" "$cache/system.part"
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial" "$cache/system.part"
    : > "$cache/apt/status"
    fetch "Debian's lists of packages" apt update
    fetch "Debian's packages for arm64" apt install --download-only python3-minimal libpython3-stdlib libstdc++6
    fetch "Debian's qemu-user-static" emulator
    for deb in "$cache"/apt/archives/*_{arm64,all}.deb; do
        dpkg -x "$deb" "$cache/system.part"
    done
    [ -e "$cache/system.part/lib" ] || ln -s usr/lib "$cache/system.part/lib"
    # All that it can emulate would be 370 MB.
    for deb in "$cache"/apt/archives/qemu-*_amd64.deb; do
        dpkg --fsys-tarfile "$deb" | tar -x -C "$cache" --transform 's,.*/,,' --wildcards './usr/bin/qemu-aarch64*'
    done
    rm -rf "$cache/apt"
    mv "$cache/system.part" "$cache/system"
fi
arm_python=$(cd "$cache/system/usr/bin" && echo python3.*[0-9])
wanted="$wheels for $arm_python and $("$python" -V)"
if [ "$(cat "$cache/wheels.txt" 2> /dev/null)" != "$wanted" ]; then
    rm -f "$cache/wheels.txt"
    platforms=(--platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64)
    install_wheels "$cache/arm64" --implementation cp --python-version "${arm_python#python}" "${platforms[@]}"
    install_wheels "$cache/amd64"
    echo "$wanted" > "$cache/wheels.txt"
fi
echo "set up ${SECONDS}s after the start"

sounds=${2:-$work/sounds}
if [ $# -lt 2 ]; then
    mkdir "$sounds"
    tar -xf "$here/data/demo/audio/shar/recording.000000.tar" -C "$sounds" --wildcards '*.flac' 2> /dev/null ||
        stop "clips in $here/data/demo" none "run dvc repro, or name a bundle and a folder of sounds"
fi
[ -d "$sounds" ] || stop "a folder of sounds in $sounds" none "name another"
cd "$sounds"
unset PYTHONHOME
export PYTHONDONTWRITEBYTECODE=1 # in the bundle
PYTHONPATH="$cache/amd64" classify "$work/amd64.csv" "$python" -S
echo "classified here ${SECONDS}s after the start"
# A Cortex-A72 and no newer one: an instruction that the Pi 4 lacks has to end the process here too.
PYTHONHOME="$cache/system/usr" PYTHONPATH="$cache/arm64" classify "$work/arm64.csv" \
    "$cache/qemu-aarch64-static" -cpu cortex-a72 -L "$cache/system" "$cache/system/usr/bin/$arm_python"
echo "classified on arm64 ${SECONDS}s after the start"
echo "$wanted"
"$python" "$here/tests/compare_predictions.py" "$work/amd64.csv" "$work/arm64.csv"
