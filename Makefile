# Each target does all the set-up it needs. A Debian machine with python3.11, its venv and make is enough; no root.
.PHONY: setup demo test check packages peers wheels test-aarch64 test-systemd
BIN := .venv/bin
# Where a machine forbids it, every program of the tests would compile sealpin anew
export PYTHONDONTWRITEBYTECODE :=
INSTALLED := .venv/installed

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml edge/pyproject.toml simulation/pyproject.toml constraints.txt edge/constraints.txt
	test -x $(BIN)/python || python3.11 -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable './edge[mc,modbus,sftp,smb]' --editable ./simulation --editable '.[cam,dev,label]'
	touch $@

demo: setup
	$(BIN)/sealpin demo $(if $(TASK),--task $(TASK))

# What a station of this machine's kind installs, for the tests, which have no package index
wheels: .venv/wheels/complete

.venv/wheels/complete: $(INSTALLED)
	$(BIN)/python -m pip download --quiet --dest .venv/wheels --only-binary=:all: --constraint edge/constraints.txt ./edge
	touch $@

test: setup wheels
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# As root: other people's programs that tests talk to. vsftpd does not stand beside proftpd, so it lies in a folder
packages:
	apt-get -qq update
	DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install --yes --no-install-recommends chromium libegl1 libgl1 \
	    libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 \
	    libxcb-xinerama0 libxkbcommon-x11-0 libdbus-1-3 openssh-client openssh-server openssl postgresql proftpd-core proftpd-mod-crypto samba \
	    strace systemd xdotool xvfb
	mkdir -p .venv/vsftpd
	cd .venv/vsftpd && apt-get -qq download vsftpd && dpkg -x vsftpd_*.deb .

# Another environment, for runtimes that want NumPy below 2: tests/export/test_peers.py runs models in them
peers: setup
	test -x .venv-peers/bin/python || python3.11 -m venv .venv-peers
	$(BIN)/uv pip install --quiet --python .venv-peers/bin/python --constraint tests/export/peers.txt tflite-support tflite-runtime mediapipe libusb-package

# A bundle with a Raspberry Pi's packages on a real aarch64 Debian, emulated: as root, with debootstrap, qemu-user-static,
# binfmt-support and openssh-server
test-aarch64: setup wheels
	$(BIN)/python -m pytest -p no:xdist -s tests/deploy/aarch64.py

# Deploys to a Debian with a real systemd, by a user with sudo: as root, with debootstrap and systemd-container
test-systemd: setup wheels
	$(BIN)/python -m pytest -p no:xdist -s tests/deploy/systemd.py
