# Sourced by ./run and ./test: finds or installs what they need, or says what to install.
#
# After `prepare run` or `prepare test`: cargo, node, npm, a C compiler and a PostgreSQL can be
# used (SLUICE_PG_BIN says where, if it is not the system's), and node_modules is what the lock
# file says.

say() { printf '%s\n' "$*" >&2; }
fail() { say "${0##*/}: $*"; exit 1; }
have() {
    local program
    program=$(command -v "$1") && [ -x "$program" ]
}

# Nothing may be set: a login shell's HOME and the folders of programs are found again.
find_surroundings() {
    if [ -z "${HOME:-}" ]; then
        HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
        export HOME
    fi
    local folder
    for folder in "${CARGO_HOME:-$HOME/.cargo}/bin" "$HOME/.cargo/bin" \
        /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
        case ":$PATH:" in
            *":$folder:"*) ;;
            *) [ -d "$folder" ] && PATH=$PATH:$folder ;;
        esac
    done
    export PATH
}

has_postgres() {
    [ -n "${SLUICE_PG_BIN:-}" ] && return 0
    have initdb && have postgres && return 0
    local folder
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
        [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && return 0
    done
    folder=$(private_postgres)
    [ -x "$folder/initdb" ] && SLUICE_PG_BIN=$folder && export SLUICE_PG_BIN
}

# Where the fall-back for those without root puts its programs.
private_postgres() {
    local folder
    for folder in "$PWD"/.sluice/python/lib/python3*/site-packages/pgserver/pginstall/bin; do
        printf '%s\n' "$folder"
        return
    done
}

# Packages of Debian and Ubuntu that would bring what is missing.
missing_packages() {
    has_postgres || echo postgresql
    have setpriv || echo util-linux
    have cc || echo gcc libc6-dev
    have node || echo nodejs
    have npm || echo npm
    # As root: machines of the demonstration and of tests have doors of their own.
    [ "$(id -u)" -ne 0 ] || { have sshd && have ssh; } || echo openssh-server openssh-client
    [ "$1" = test ] || return 0
    [ "$(id -u)" -ne 0 ] || { have slurmctld && have slurmd && have srun && have munged; } ||
        echo slurmctld slurmd slurm-client munge
    have chromium || have chromium-browser || have google-chrome || echo chromium
    have chromedriver || echo chromium-driver
    { have fc-list && [ -n "$(fc-list :lang=zh-cn 2>/dev/null | head -n 1)" ]; } ||
        echo fontconfig fonts-noto-cjk
}

# How to become root, in $as_root; fails when there is no way.
find_root() {
    as_root=()
    [ "$(id -u)" -eq 0 ] && return 0
    have sudo && sudo -n true 2>/dev/null && as_root=(sudo -n)
}

install_packages() {
    say "installing: $*"
    # Without systemd, services are started by their runlevel: none is wanted in the first.
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq
        -o DPkg::Lock::Timeout=300 -y)
    case " $* " in
        *" openssh-server "*)
            # Tests start servers of their own; installing one must not open this machine.
            [ -e /etc/ssh/sshd_config ] ||
                { "${as_root[@]}" mkdir -p /etc/ssh &&
                    "${as_root[@]}" touch /etc/ssh/sshd_not_to_be_run; }
            ;;
    esac
    case " $* " in
        *" postgresql "*)
            # The package would make and start a server of its own; ours is private.
            "${as_root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
            echo 'create_main_cluster = false' |
                "${as_root[@]}" tee /etc/postgresql-common/createcluster.d/sluice.conf >/dev/null
            ;;
    esac
    case " $* " in
        *" slurmctld "*)
            # Slurm's daemons wait for settings; munge's is not to run either until there are some.
            "${as_root[@]}" mkdir -p /etc/systemd/system/munge.service.d
            printf '[Unit]\nConditionPathExists=/etc/slurm/slurm.conf\n' |
                "${as_root[@]}" tee /etc/systemd/system/munge.service.d/sluice.conf >/dev/null
            ;;
    esac
    "${apt[@]}" update >&2 || say "the package lists could not be renewed; trying the old ones"
    "${apt[@]}" install --no-install-recommends "$@" >&2 || fail "apt-get could not install: $*"
}

# Without root, PostgreSQL can come from PyPI, into a folder of this clone.
install_private_postgres() {
    have python3 || return 1
    say "installing a PostgreSQL below .sluice (pgserver from PyPI)"
    local venv=$PWD/.sluice/python
    python3 -m venv "$venv" >/dev/null 2>&1 &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            pgserver==0.1.4 >&2 &&
        has_postgres
}

need_cargo() {
    local how='curl -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c clippy'
    have cargo || fail "there is no cargo in PATH or ~/.cargo/bin; install Rust 1.95 or newer: $how"
    local version minor
    version=$(cargo --version) || fail "cargo does not run; install Rust 1.95 or newer: $how"
    minor=$(printf '%s' "$version" | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p')
    if [ -n "$minor" ] && [ "$minor" -lt 95 ]; then
        fail "$version is too old; Rust 1.95 or newer is needed: rustup update stable"
    fi
}

# The packages of the lock file, fetched when it has changed since.
fetch_browser_files() {
    cmp -s package-lock.json node_modules/.fetched && return 0
    say "fetching the browser's files"
    npm ci --no-progress --loglevel=error >&2 || fail "npm ci failed"
    cp package-lock.json node_modules/.fetched
}

prepare() {
    find_surroundings
    local missing
    read -r -d '' -a missing < <(missing_packages "$1") || true
    if [ "${#missing[@]}" -gt 0 ] && have apt-get && find_root; then
        install_packages "${missing[@]}"
    elif [[ " ${missing[*]} " == *" postgresql "* ]]; then
        install_private_postgres || say "pgserver from PyPI could not be installed"
    fi
    has_postgres || true
    read -r -d '' -a missing < <(missing_packages "$1") || true
    if [ "${#missing[@]}" -gt 0 ]; then
        fail "please install (the names are Debian's) and start again: ${missing[*]}"
    fi
    need_cargo
    fetch_browser_files
}
