# shellcheck shell=sh
# In the third layer's root: the virtual environment with what pitr depends on, from /opt/wheels.
set -eu
python3 -m venv /opt/pitr
# what was fetched is what is wanted: no resolving, no second opinion
/opt/pitr/bin/python -m pip install --quiet --no-index --no-deps /opt/wheels/*.whl
