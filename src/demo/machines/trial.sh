# Whether a machine of the demonstration can do its work here: run inside one (sandbox.sh), it does
# once what an agent does for each lease. Says on standard error what is missing.
#
#   $1    the name of the group of processes that the agent would use
set -euo pipefail
group=$1
for program in groupadd useradd usermod userdel ssh-keygen sshd; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2 && exit 1; }
done
useradd --no-create-home sluice-probe
userdel sluice-probe

kept=/sys/fs/cgroup
if ! grep -qsw cpu "$kept/cgroup.controllers"; then
    kept=/sys/fs/cgroup/cpu
fi
mkdir -p "$kept/$group/probe"
rmdir "$kept/$group/probe"

/srv/sluice-agent inventory --homes /home >/dev/null
