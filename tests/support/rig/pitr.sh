# shellcheck shell=sh
# In the last layer's root: the checkout's code as a wheel, kept for hosts that install it anew.
set -eu
cd /src
/opt/pitr/bin/python -m pip wheel --quiet --no-index --no-deps --no-build-isolation \
    --wheel-dir /opt/wheels .
/opt/pitr/bin/python -m pip install --quiet --no-index --no-deps /opt/wheels/pitr-*.whl
