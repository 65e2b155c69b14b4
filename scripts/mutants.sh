#!/usr/bin/env bash
# Plants each bug of tests/mutants in a copy of what is committed and runs the tests that should
# find it: scripts/mutants.sh [NAME…]. A mutant is a tier, a file, and texts with what they become.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
copy=$(mktemp -d)
chmod 755 "$copy"
trap 'rm -rf -- "$copy"' EXIT

# The tests of a tier: cargo's arguments that name them, and which of them.
targets() {
    case $1 in
    simulator) echo -p simulator --test seeds ;;
    *) echo --test "$1" ;;
    esac
}
filters() {
    [ "$1" != journeys ] || echo sequencer:: faults:: lives::
}

# shellcheck disable=SC2046
test_it() (
    cd "$copy"
    cargo test --locked --quiet $(targets "$1") "${@:2}"
)

plant='
    local $/; open my $in, "<", $ARGV[0] or die; my (undef, undef, $edits) = split /\n/, <$in>, 3;
    open my $file, "<", $ARGV[1] or die; my $text = <$file>; close $file;
    while ($edits =~ /<<<\n(.*?)\n>>>\n(.*?)(?=\n<<<\n|\n*\z)/sg) {
        my ($old, $new) = ($1, $2);
        ($text =~ s/\Q$old\E/$new/g) or exit 3;
    }
    open $file, ">", $ARGV[1] or die; print $file $text;'

missed=0
for mutant in ${*:-$(ls tests/mutants)}; do
    { read -r tier; read -r file; } <"tests/mutants/$mutant"
    find "$copy" -mindepth 1 -delete
    # What is unpacked is newer than what was built of the last mutant.
    git archive HEAD | tar -xm -C "$copy"
    if ! perl -e "$plant" "tests/mutants/$mutant" "$copy/$file"; then
        result='STALE: its text is gone from the file'
    elif ! test_it "$tier" --no-run >"$copy/log" 2>&1; then
        result='STALE: it does not compile'
    elif timeout 600 bash -c "$(declare -f); copy=$copy; test_it $tier -- $(filters "$tier")" \
        >"$copy/log" 2>&1; then
        result='NOT FOUND'
    else
        result=found
    fi
    printf '%-28s %-10s %s\n' "$mutant" "$tier" "$result"
    [ "$result" = found ] || missed=$((missed + 1))
done
exit $((missed > 0))
