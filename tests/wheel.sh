#!/usr/bin/env bash
# What a team does: the wheel in an empty environment, a project, the demo, a new version.
# Usage: tests/wheel.sh [PYTHON]    of an environment with the test extras; run after `dvc repro`
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
python=$(command -v "${1:-python}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH VIRTUAL_ENV

expect() { # TEXT FILE
    grep -qF -- "$1" "$2" || { echo "expected '$1', got:"; cat "$2"; exit 1; }
}
fails() { # COMMAND...
    if "$@"; then echo "expected to fail: $*"; exit 1; fi
}

"$python" -m build --outdir "$work/dist" . > "$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"$python" -c 'from audioprep.cli import main; main()' init "$work/checkout" > "$work/checkout.log"
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt "$work"/dist/*.whl
echo "installed ${SECONDS}s after the start"

cd "$work"
PATH="$work/venv/bin:$PATH"
audioprep init team
diff -r --exclude=.git --exclude=tmp checkout team
cd team
dvc repro | grep 'Running stage'
python "$here/tests/compare_locks.py" "$here/dvc.lock" dvc.lock
test -s reports/demo/report.html
test -s models/demo/bundle/model.int8.onnx
dvc repro > ../second.log
fails grep 'Running stage' ../second.log
echo "the demo is made ${SECONDS}s after the start"

# A version that says the same in other words runs nothing; one with another kernel runs what uses it, once it is asked to.
package=$(python -c 'import audioprep; print(audioprep.__path__[0])')
printf '\n# a remark\n' >> "$package/dsp/mel.py"
audioprep init --update . > ../update.log
expect 'No stage has new code' ../update.log
printf '\nNEW = 1\n' >> "$package/dsp/mel.py"
fails python stages/features.py demo logmel 2> ../stale.log
expect 'stages/features.py: expected the code of audioprep' ../stale.log
audioprep init --update . > ../update.log
expect 'which `dvc repro` runs again: augment, evaluate, export, features' ../update.log
dvc status > ../status.log
test "$(grep -o '^[a-z]*@' ../status.log | sort -u | tr -d '\n')" = augment@evaluate@export@features@ || { cat ../status.log; exit 1; }
echo "done ${SECONDS}s after the start"
