# shellcheck shell=bash disable=SC2034,SC2154
# pprofshim ls, pprofshim get -- who can be asked, by /proc; and asking, by curl.

# What the caller preloads is not for the programs that are called here.
unset LD_PRELOAD

# --- ls -----------------------------------------------------------------------------------------

# Each process with the library listens at the abstract socket pprofshim.UID.PID: effective user id.
# find_shims [PID] -- into shims[PID]: UID and inode of that socket, of all or of this one
find_shims() {
	local uid pid inode id='(0|[1-9][0-9]{0,9})'
	shims=()
	[[ -r /proc/net/unix ]] || die 1 'cannot read /proc/net/unix, which says who listens'
	while IFS='. ' read -r inode _ uid pid; do
		# Anybody may take such a name.
		user_of "$pid"
		[[ -z $found || $found == "$uid" ]] && shims[pid]="$uid $inode"
	done < <(listening /proc/net/unix |
		grep -xE "[0-9]+ unix:@pprofshim\.$id\.${1-$id}")
}

# user_of PID -- its effective user id, or nothing, into $found
user_of() {
	local key effective
	found=
	while read -r key _ effective _; do
		[[ $key != Uid: ]] || found=$effective
	done 2> /dev/null < "/proc/$1/status"
}

# listening FILE... -- "INODE ADDRESS" of each socket in tables of /proc/net that listens, TCP in hex
listening() {
	LC_ALL=C awk '
	FILENAME ~ /unix$/ {
		if ($4 != "00010000" || NF < 8)
			next
		path = $8
		for (i = 9; i <= NF; i++)
			path = path " " $i
		print $7, "unix:" path
		next
	}
	$4 == "0A" { print $10, $2 }' "$@" 2> /dev/null
}

# tcp_text HEX:PORT -- into $found
tcp_text() {
	local hex=${1%:*} i
	found=
	if [[ ${#hex} -eq 8 ]]; then
		for i in 6 4 2 0; do found+=.$((16#${hex:i:2})); done
	elif [[ $hex =~ ^0{24}0[01]000000$ ]]; then
		found=.[::${hex:25:1}]
		found=${found/::0/::}
	else
		# Four words, each turned round.
		for i in 6 2 14 10 22 18 30 26; do
			printf -v found '%s:%x' "$found" $((16#${hex:i:2}${hex:i-2:2}))
		done
		found=".[${found#:}]"
	fi
	found=${found#.}:$((16#${1##*:}))
}

read_addresses() {
	local inode address
	while read -r inode address; do
		if [[ $address == unix:* ]]; then
			addresses[inode]=$address
		else
			tcp_text "$address"
			addresses[inode]=$found
		fi
	done < <(listening /proc/net/tcp /proc/net/tcp6 /proc/net/unix)
}

# addresses_of PID INODE -- into $found: where our thread, which has this socket, listens besides;
# 1: there is no such thread; 2: we may not see it, or the process is gone
addresses_of() {
	local comm links link status=1
	found=
	[[ -e /proc/$1/exe ]] || return 2       # the same rights as for its descriptors
	while IFS= read -r comm; do
		# In the order of their numbers, so of the option; a pattern without a match is an error.
		links=$(readlink -- "${comm%comm}fd"/{?,??,???,????,?????} 2> /dev/null)
		[[ $links == *"socket:[$2]"* ]] || continue
		status=0
		for link in $links; do
			[[ $link =~ ^socket:\[([0-9]+)\]$ && ${BASH_REMATCH[1]} != "$2" ]] || continue
			link=${addresses[BASH_REMATCH[1]]-}
			found+=${link:+,$link}
		done
	done < <(grep -lxs pprofshim "/proc/$1/task"/*/comm)
	found=${found#,}
	return "$status"
}

# uptime_of PID -- into $found, as ps has it
uptime_of() {
	local stat now s
	found='?'
	{ stat=$(< "/proc/$1/stat") && now=$(< /proc/uptime); } 2> /dev/null || return
	read -ra stat <<< "${stat##*)}"
	s=$((${now%%.*} - stat[19] / 100))      # USER_HZ
	printf -v found '%02d:%02d' $((s / 60 % 60)) $((s % 60))
	((s < 3600)) || printf -v found '%02d:%s' $((s / 3600 % 24)) "$found"
	((s < 86400)) || found=$((s / 86400))-$found
}

ls_() {
	local pid uid inode status where uptime program users=() shims=() addresses=()
	while (($#)); do
		case $1 in
		--help) help_of ls; exit 0 ;;
		-*) no_such_option "$1" ;;
		*) die 2 "ls: $1: it takes no arguments" ;;
		esac
	done
	find_shims
	for pid in "${!shims[@]}"; do
		[[ $EUID -eq 0 || $EUID -eq ${shims[pid]%% *} ]] || unset "shims[$pid]"
	done
	[[ ${#shims[@]} -gt 0 ]] || return 0
	read_addresses
	print_row PID USER UPTIME ADDRESSES PROGRAM
	for pid in "${!shims[@]}"; do
		read -r uid inode <<< "${shims[pid]}"
		[[ -n ${users[uid]-} ]] || users[uid]=$(id -nu -- "$uid" 2> /dev/null || echo "$uid")
		addresses_of "$pid" "$inode"
		status=$? where='?' uptime='?' program='?'
		[[ $status -ne 0 ]] || where=${found:--}
		# 1: of another container with its own numbers, or somebody has taken its name.
		if [[ $status -ne 1 ]]; then
			uptime_of "$pid"
			uptime=$found
			program_of "$pid"
			program=${found:-?}
		fi
		print_row "$pid" "${users[uid]}" "$uptime" "$where" "$program"
	done
}

print_row() { printf '%7s %-10s %11s  %-22s %s\n' "$@"; }

# program_of PID -- into $found: its command line, for people
program_of() {
	{ found=$(tr '\0' ' ' < "/proc/$1/cmdline"); } 2> /dev/null
	found=${found//[[:cntrl:]]/?}
	found=${found%"${found##*[! ]}"}
	found=${found:0:100}
}

# --- get ----------------------------------------------------------------------------------------

# where_of PID|ADDR -- into where: curl's arguments, the last of them the beginning of the address
where_of() {
	local shims=() addresses=() uid inode
	case $1 in
	'' | *[!0-9]*) ;;
	*)
		find_shims "$((10#$1))"
		[[ ${#shims[@]} -gt 0 ]] || no_shim "$1"
		read -r uid inode <<< "${shims[10#$1]}"
		[[ $EUID -eq 0 || $EUID -eq $uid ]] ||
			die 1 "$1: a process of user $uid; only that one and root may ask it"
		addresses_of "$((10#$1))" "$inode"
		[[ $? -ne 1 ]] ||
			die 1 "$1: somebody else listens under its name; pprofshim ls shows whom to ask"
		where=(--abstract-unix-socket "pprofshim.$uid.$((10#$1))" http://localhost)
		return ;;
	esac
	case $1 in
	http://* | https://*) where=("${1%/}") ;;
	unix:@*) where=(--abstract-unix-socket "${1#unix:@}" http://localhost) ;;
	@*) where=(--abstract-unix-socket "${1#@}" http://localhost) ;;
	unix:*) where=(--unix-socket "${1#unix:}" http://localhost) ;;
	:*[0-9]) where=("http://127.0.0.1$1") ;;
	*:*[0-9]) where=("http://$1") ;;
	*) die 2 "get: $1: neither a PID nor an address; addresses are like 127.0.0.1:6060, :6060," \
		'[::1]:6060, unix:/PATH, @NAME, http://...' ;;
	esac
}

no_shim() {
	[[ -d /proc/$1 ]] || die 1 "$1: there is no such process; pprofshim ls shows whom to ask"
	[[ ! -e /proc/$1/ns/net || /proc/$1/ns/net -ef /proc/self/ns/net ]] ||
		die 1 "$1: it is in another network namespace (a container); ask from inside of that"
	die 1 "$1: this process does not listen; it was started without the library, or with --addr=off;" \
		'pprofshim ls shows whom to ask'
}

# time_limit PROFILE -- into $limit: the window that is asked for, and a minute to answer
time_limit() {
	limit=90        # 30 is what a profile takes without a number
	[[ $1 =~ [?\&]seconds=([0-9]{1,7})(&|$) ]] && limit=$((10#${BASH_REMATCH[1]} + 60))
}

# ask FILE FORMAT ARGUMENT... -- curl, without what the user has set for other things; the body to FILE,
# and into $found what is said of it, as -w has it.  A token goes by a pipe: what is in an argument, ps
# shows to everybody.
ask() {
	found=$(curl -q -sS -g --noproxy '*' --connect-timeout 5 --max-time "$limit" -H @- \
		-w "%{stderr}$2" "${@:3}" 2>&1 > "$1" <<< "${token:+Authorization: Bearer $token}") && return
	found=${found%%$'\n'*}
	die 1 "${words[0]}: no answer: ${found#curl: (*) }"
}

is_text() { [[ $1 == text/* || $1 == application/json* ]]; }

refuse_terminal() {
	die 1 'that is binary, and this is a terminal; use -o FILE, or a pipe, or ?debug=1 for text'
}

get() {
	local output='' token_file='' token='' limit='' where=() words=() status type line
	while (($#)); do
		case $1 in
		--) shift; words+=("$@"); break ;;
		--help) help_of get; exit 0 ;;
		-o) [[ $# -gt 1 ]] || die 2 '-o: which file? -o FILE'; output=$2; shift ;;
		-o*) output=${1#-o} ;;
		--output=*) output=${1#*=} ;;
		--token-file=*) token_file=${1#*=} ;;
		--timeout=*) limit=${1#*=} ;;
		-?*) no_such_option "$1" --output --token-file --timeout ;;
		*) words+=("$1") ;;
		esac
		shift
	done
	[[ ${#words[@]} -eq 2 ]] ||
		die 2 'get: which process, which profile? pprofshim get [-o FILE] PID|ADDR PROFILE[?QUERY]'
	[[ -n $limit ]] || time_limit "${words[1]}"
	[[ $limit =~ ^[1-9][0-9]{0,7}$ ]] || die 2 "--timeout=$limit: not a number of seconds"
	if [[ -n $token_file ]]; then
		{ read -r token < "$token_file"; } 2> /dev/null
		[[ -n $token ]] || die 1 "$token_file: not readable, or there is no token in it"
	fi
	[[ -n $(type -P curl) ]] || die 1 'curl is not installed (Debian: apt-get install curl)'
	where_of "${words[0]}"
	[[ ${words[1]} == /* ]] || words[1]=/debug/pprof/${words[1]}
	where[-1]+=${words[1]}
	if [[ -z $output && -t 1 ]]; then
		# Nothing is measured for a HEAD, so nobody waits for what is not shown then.
		ask /dev/null '%{content_type}' -I "${where[@]}"
		[[ -z $found ]] || is_text "$found" || refuse_terminal
	fi
	tmp=$(mktemp -u)
	trap 'rm -f -- "$tmp"' EXIT     # before there is one, so that no signal leaves it behind
	(umask 077; set -C; : > "$tmp") 2> /dev/null || die 1 "$tmp, a file in between: cannot be made"
	ask "$tmp" '%{http_code} %{content_type}' "${where[@]}"
	read -r status type <<< "$found"
	if [[ $status != 2?? ]]; then
		read -r line < "$tmp"
		die 1 "${words[0]}: $status: ${line//[[:cntrl:]]/?}"
	elif [[ -n $output ]]; then
		{ cat -- "$tmp" > "$output"; } 2> /dev/null || die 1 "$output: cannot be written"
	else
		[[ ! -t 1 ]] || is_text "$type" || refuse_terminal
		cat -- "$tmp"
	fi
}
