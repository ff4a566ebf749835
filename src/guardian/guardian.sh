# Waits for the host's end, then ends what the host was running. Descriptor 0 is the lifeline, 3 the table of executions:
# one line each, the process id of the leader (blank before it is known) and the id of the execution.
trap '' HUP INT QUIT TERM PIPE TSTP TTIN TTOU
cd /
while read -r line; do :; done

groups= sessions= tags=
while read -r pid id; do
	# Before the process id is known, the id of the execution is the only word.
	case $pid in *-*) id=$pid pid= ;; esac
	[ "${pid:-0}" -gt 1 ] && groups="$groups -$pid" sessions="$sessions|$pid"
	[ -n "$id" ] && tags="${tags:+$tags
}ESCHER_EXECUTION_ID=$id"
done <<ROWS
$(grep -v '^ *$' <&3)
ROWS
[ -n "$tags" ] || exit 0

# Finds the living members: carriers of a tag, and whoever is in a leader's session. A carrier that leads a session is a
# leader whose process id did not reach the table in time. All files are looked at by one process, as a shell reads them
# byte by byte, and the patterns come by a pipe, as an argument has a largest size.
#
# `pid (name) state parent group session …`: the name may hold anything but ends with the last parenthesis.
if [ -r /proc/self/stat ]; then
	leads='^\([0-9]*\) (.*) [^)] [0-9]* [0-9]* \1 [^)]*$'
	members() {
		found= stats=
		for file in $(printf '%s\n' "$tags" | grep -lsF -f - /proc/[0-9]*/environ); do
			pid=${file#/proc/} pid=${pid%%/*}
			found="$found $pid" stats="$stats /proc/$pid/stat"
		done
		if [ -n "$stats" ]; then
			for file in $(grep -ls "$leads" $stats); do
				pid=${file#/proc/} sessions="$sessions|${pid%%/*}"
			done
		fi
		[ -n "$sessions" ] || return
		for file in $(printf '\\) [^ZX)] [0-9]+ [0-9]+ (%s) [^)]*$\n' "${sessions#|}" | grep -lsE -f - /proc/[0-9]*/stat); do
			pid=${file#/proc/} found="$found ${pid%%/*}"
		done
	}
else
	members() {
		found=$(ps -axww -E -o pid=,command= | grep -F -e "$tags" | while read -r pid line; do echo "$pid"; done)
	}
fi

quiet=0 round=0
while [ $quiet -lt 3 ] && [ $round -lt 200 ]; do
	round=$((round + 1))
	[ -n "$groups" ] && kill -s KILL -- $groups
	members
	if [ -n "$found" ]; then
		quiet=0
		# Twice killed and still there: it forks. Who is stopped does not, and leaves no room for another as the dead do.
		before= chase=0
		while [ $round -gt 2 ] && [ "$found" != "$before" ] && [ $chase -lt 50 ]; do
			chase=$((chase + 1)) before=$found
			kill -s STOP -- $found
			members
		done
		kill -s KILL -- $found
	else
		quiet=$((quiet + 1))
		sleep 0.02
	fi
done 2>/dev/null
