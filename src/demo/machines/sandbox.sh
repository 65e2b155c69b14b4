# A machine of the demonstration. It is started as the first process of mount, process and IPC
# namespaces of its own (sandbox.rs): the system's files can't be written in here, what a lease
# changes lies in memory or in the machine's folder, and all of it ends with this process.
#
#   $1    the machine's folder: what is kept from one start to the next
#   $2    the agent's program
#   $3…   what to run; the agent is at /srv/sluice-agent
#
# It is told what to do line by line on standard input, and ends when nobody is left to tell it.
set -euo pipefail
folder=$1 program=$2
shift 2

mkdir -p "$folder/state" "$folder/home"
chmod 711 "$folder"
mount -t tmpfs -o mode=755 tmpfs /srv
mkdir /srv/machine /srv/etc
touch /srv/sluice-agent
mount --bind "$folder" /srv/machine
mount --bind "$program" /srv/sluice-agent
cp -a /etc/. /srv/etc
mount -o remount,bind,ro /

mount --bind /srv/etc /etc
# Leases of a machine that runs on the system itself are none of this one's.
sed -i '/^sluice-l[0-9]/d' /etc/passwd /etc/shadow /etc/group /etc/gshadow
mount --bind /srv/machine/home /home
for own in /var /run /tmp /dev/shm; do
    mount -t tmpfs -o mode=755 tmpfs "$own"
done
mkdir -p /run/lock /run/user /var/tmp /var/mail /var/log /var/crash \
    /var/spool/cron/crontabs /var/spool/cron/atjobs
chmod 1777 /tmp /var/tmp /dev/shm
cd /

if [ -n "${SLUICE_AGENT_TOKEN:-}" ]; then
    /srv/sluice-agent enrol >&2
    unset SLUICE_AGENT_TOKEN
fi
"$@" &
agent=$!
while kill -0 "$agent" 2>/dev/null; do
    if read -r -t 0.3 order; then
        case $order in
        # The agent sleeps: what runs meanwhile is nobody's word.
        sleep) kill -STOP "$agent" ;;
        wake) kill -CONT "$agent" ;;
        # Nobody is let in any more, whatever the agent says (nologin(5)).
        shut) echo 'no entry' >/etc/nologin ;;
        open) rm -f /etc/nologin ;;
        esac
    elif [ $? -le 128 ]; then
        exit 0
    fi
done
wait "$agent"
