# shellcheck shell=bash disable=SC2034,SC2154
# pprofshim check -- would the library work in this program?  By od, awk and the program's own loader.

# --- check: what an ELF file says, by od --------------------------------------------------------

# numbers FILE OFFSET BYTES FORMAT WIDTH -- lines of numbers
numbers() { od -An -v -t "$4" -w"$5" -j "$2" -N "$3" -- "$1" 2> /dev/null; }

# bytes FILE OFFSET BYTES
bytes() { { tail -c +"$(($2 + 1))" -- "$1" | head -c "$3"; } 2> /dev/null; }

# read_elf FILE -- into elf_*; of other than 64 bits, little endian, no more than machine and bits
read_elf() {
	local h f sections line
	elf_interpreter='' elf_tables=() elf_names=()
	read -ra h <<< "$(numbers "$1" 4 2 u1 2) $(numbers "$1" 18 2 u1 2)"
	elf_bits=$((${h[0]-0} * 32)) elf_machine=$((${h[3]-0} * 256 + ${h[2]-0}))
	[[ ${h[1]-} != 2 ]] || elf_machine=$((${h[2]-0} * 256 + ${h[3]-0}))     # big endian
	[[ ${h[*]:0:2} == '2 1' ]] || return
	# Offsets of program and section headers; numbers of the former, size and number of the latter, and
	# which of these has their names.
	read -ra h <<< "$(numbers "$1" 32 16 u8 16) $(numbers "$1" 56 8 u2 8)"
	[[ ${#h[@]} -eq 6 ]] || return
	while read -ra f; do
		[[ $((f[0] & 0xffffffff)) -ne 3 ]] ||                           # PT_INTERP
			elf_interpreter=$(bytes "$1" "${f[1]}" "${f[4]}" | tr -d '\0')
	done < <(numbers "$1" "${h[0]}" $((h[2] * 56)) u8 56)
	mapfile -t sections < <(numbers "$1" "${h[1]}" $((h[4] * 64)) u8 64)
	for line in "${sections[@]}"; do
		read -ra f <<< "$line"
		case $((f[0] >> 32)) in                                         # its strings are another section
		2) elf_tables+=(".symtab ${f[3]} ${f[4]} ${sections[f[5] & 0xffffffff]-}") ;;
		11) elf_tables+=(".dynsym ${f[3]} ${f[4]} ${sections[f[5] & 0xffffffff]-}") ;;
		esac
	done
	read -ra f <<< "${sections[h[5]]-}"
	[[ ${#f[@]} -lt 5 ]] || mapfile -t elf_names < <(bytes "$1" "${f[3]}" "${f[4]}" | tr '\0' '\n')
}

# defined FILE NAME... -- those functions that the file read last defines itself.  In the table of
# strings a name may be the end of another.
defined() {
	local file=$1 table ends
	shift
	printf -v ends '%s|' "$@"
	for table in "${elf_tables[@]}"; do
		read -ra table <<< "$table"
		[[ ${#table[@]} -ge 8 ]] || continue
		# shellcheck disable=SC2016
		LC_ALL=C awk -v names="$*" -v ends="(${ends%|})\$" '
		BEGIN { n = split(names, name, " ") }
		FILENAME == ARGV[1] {
			if ($0 ~ ends)
				for (i = 1; i <= n; i++) {
					k = length($0) - length(name[i])
					if (k >= 0 && substr($0, k + 1) == name[i])
						at[o + k] = name[i]
				}
			o += length($0) + 1
			next
		}
		# st_name; st_info (a function, maybe indirect), st_shndx (not undefined)
		($1 in at) && ($2 % 16 == 2 || $2 % 16 == 10) && $2 >= 65536 { print at[$1] }
		' <(bytes "$file" "${table[6]}" "${table[7]}" | tr '\0' '\n') \
			<(numbers "$file" "${table[1]}" "${table[2]}" u4 24)
	done
}

# --- check: findings ----------------------------------------------------------------------------

# What is quoted from files may be anything; a finding is a line.
finding() { printf '%s: %s\n' "$1" "${2//[[:cntrl:]]/?}"; }
no() { verdict=1; finding no "$*"; }
note() { finding note "$*"; }

# follow FILE -- into $program: the ELF file that runs it in the end; 1: none, and that was said
follow() {
	local line words
	program=$1
	for _ in 1 2 3 4 5; do
		[[ -r $program ]] || die 2 "$program: not readable, so there is no telling"
		case $(numbers "$program" 0 4 x1 4) in
		' 7f 45 4c 46') return ;;
		' 23 21 '*) ;;
		*)
			no "$program: neither a program nor a script that begins with #!; begin it with" \
				'the path of what runs it: #!/bin/sh'
			return 1 ;;
		esac
		IFS= read -r line < <(head -c 512 -- "$program" | tr -d '\0')
		read -ra words <<< "${line#'#!'}"
		if [[ ${words[0]-} == */env ]]; then
			words=("${words[@]:1}")
			while [[ ${words[0]-} == -* || ${words[0]-} == *=* ]]; do words=("${words[@]:1}"); done
		fi
		line=$(type -P -- "${words[0]-}")
		if [[ -z $line ]]; then
			no "$program: a script for ${words[0]-nothing}, which is not there; install that"
			return 1
		fi
		note "$program: a script; what runs is $line, so that is looked at"
		program=$line
	done
	no "$1: a script for a script, five times over; name the last one's program"
	return 1
}

# check_kind -- 1: no loader of ours will ever see it
check_kind() {
	local bits=$elf_bits machine=$elf_machine go='' sections
	printf -v sections ' %s' "${elf_names[@]}"
	[[ $sections != *' .go.buildinfo'* && $sections != *' .note.go.buildid'* ]] || go=yes
	if [[ $bits -ne $library_bits ]]; then
		no "$program: a program of $bits bits, and the library is of $library_bits; use a build for" \
			"$library_bits"
	elif [[ $machine -ne $library_machine ]]; then
		no "$program: for another machine (ELF's number $machine, the library's is $library_machine)"
	elif [[ -z $elf_interpreter && -n $go ]]; then
		no "$program: a Go program, static; import net/http/pprof, which serves the same"
	elif [[ -z $elf_interpreter ]]; then
		no "$program: static, so no loader reads LD_PRELOAD; link it without -static"
	elif [[ $elf_interpreter == */ld-musl-* ]]; then
		no "$program: made for musl, whose loader ends a program with a library for glibc; build it" \
			'for glibc'
	elif [[ ! -e $elf_interpreter ]]; then
		no "$program: its loader $elf_interpreter is not there; install that"
	else
		[[ -z $go ]] || note 'a Go program: its heap, locks and goroutines are not seen, only those of' \
			'C; import net/http/pprof, which shows them'
		return 0
	fi
	return 1
}

check_rights() {
	local what='' has='' owner group caps
	read -r owner group <<< "$(stat -L -c '%u %g' -- "$program")"
	if [[ -u $program ]]; then
		has='setuid'
		[[ $owner == "$EUID" ]] || what='a setuid program'
	fi
	if [[ -g $program ]]; then
		has=${has:-setgid}
		[[ $group == "$(id -g)" ]] || what=${what:-a setgid program}
	fi
	if [[ -z $what && $EUID -ne 0 ]]; then
		if caps=$(PATH=$PATH:/usr/sbin:/sbin getcap -- "$program" 2> /dev/null); then
			what=${caps:+a program with file capabilities}
		elif tar --version > /dev/null 2>&1; then
			# It keeps them in a header before the file.
			tar -c --xattrs --xattrs-include=security.capability -- "$program" 2> /dev/null |
				head -c 4096 | LC_ALL=C grep -aq 'xattr\.security\.capability' &&
				what='a program with file capabilities'
		else
			note 'whether it has file capabilities cannot be seen: there is neither getcap' \
				'(libcap2-bin) nor tar'
		fi
	fi
	if [[ -n $what ]]; then
		no "$program: $what: for you the loader ignores LD_PRELOAD there; profile a copy without" \
			'that, as a user who may do what it does'
	elif [[ -n $has ]]; then
		note "$has: it works for you, but for who gets other rights by it the loader ignores LD_PRELOAD"
	fi
}

# check_loader PRELOAD -- into $loaded: what its own loader would load; nothing of the program runs
check_loader() {
	local line
	loaded=
	case $elf_interpreter in
	/lib* | /usr/lib* | /nix/store/* | /gnu/store/*) ;;
	*)
		note "its loader $elf_interpreter is not the system's, and was not asked; it has to be" \
			"glibc's, 2.34 or newer"
		return ;;
	esac
	loaded=$(LC_ALL=C LD_TRACE_LOADED_OBJECTS=1 LD_PRELOAD=$1 "$elf_interpreter" "$program" 2>&1)
	while IFS= read -r line; do
		case $line in
		*"version "*" not found (required by $library)"*)
			line=${line#*version ?}
			no "$program: its libc has no ${line%%\'*}, which the library needs, and the program" \
				'does not start with it; run it on a newer system'
			return ;;
		*"'$library' from LD_PRELOAD cannot be preloaded"*)
			no "$program: its loader does not take the library: ${line##*preloaded }"
			return ;;
		*"version "*" not found (required by "*)
			no "$program: ${line##*: }, so it does not start; run it on a newer system" ;;
		*' => not found'*)
			line=${line#"${line%%[![:space:]]*}"}
			no "$program: it needs ${line%% *}, without which it does not start; install that" ;;
		esac
	done <<< "$loaded"
}

check_sanitizer() {
	local doors=$'\n'$1$'\n'
	if [[ $loaded =~ lib(clang_rt\.)?asan[.-] ]]; then
		no "$program: a shared libasan ends a program in which another library comes first;" \
			'build it without -fsanitize=address'
	elif [[ $loaded =~ lib(clang_rt\.)?(hwa|l|t)san[.-] ||
		$doors == *$'\n'malloc$'\n'* && $doors == *$'\n'pthread_create$'\n'* ]]; then
		no "$program: it has a sanitizer in it, beside which the library does nothing;" \
			'build it without -fsanitize'
	fi
}

# The same names as in httpd/unseen.c.
allocators='malloc _rjem_malloc je_malloc mi_malloc tc_malloc TCMallocInternalMalloc sn_rust_alloc
	rpmalloc'

check_symbols() {
	local found
	# shellcheck disable=SC2086
	found=$(defined "$program" $allocators pthread_create | sort -u)
	check_sanitizer "$found"
	# shellcheck disable=SC2086
	found=$(LC_ALL=C grep -xF -f <(printf '%s\n' $allocators) <<< "$found" | tr '\n' ' ')
	[[ -z $found ]] ||
		note "it has an allocator of its own (${found% }), which the heap profile does not see;" \
			'link that as a shared library, and it does'
	[[ ${elf_tables[*]} == *.symtab* ]] ||
		note 'stripped: functions that it does not export have a module and an address instead of' \
			'a name; build it without strip and -s'
}

check_confinement() {
	local key value
	[[ $loaded != *libseccomp.so* ]] ||
		note 'it uses libseccomp: when it filters its own system calls, its profiles end'
	while read -r key value; do
		[[ $key != Seccomp: || $value == 0 ]] ||
			note 'a filter of system calls (seccomp: a container?) is in force here, and will be for' \
				'it; what the library misses then is on the index, /debug/pprof/'
	done 2> /dev/null < /proc/self/status
	[[ $(cat /sys/module/apparmor/parameters/enabled 2> /dev/null) == Y ]] || return 0
	value=$(file=$program awk '
		{ gsub(/["{}]/, " "); for (i = 1; i <= NF; i++) if ($i == ENVIRON["file"]) { print FILENAME; exit } }
		' /etc/apparmor.d/* 2> /dev/null)
	[[ -z $value ]] || note "AppArmor confines it ($value): that file has to allow \"$library mr,\""
}

check() {
	local given='' preload verdict=0 library_bits library_machine
	while (($#)); do
		case $1 in
		--) shift; break ;;
		--help) help_of check; exit 0 ;;
		--library=*) given=${1#*=} ;;
		-*) no_such_option "$1" --library ;;
		*) break ;;
		esac
		shift
	done
	[[ $# -gt 0 ]] || die 2 'check: which program? pprofshim check CMD'
	find_program "$1"
	find_library "$given"
	if [[ -z $library ]]; then
		no "$no_library"
	elif [[ $library == *[[:space:]:]* ]]; then
		no "$library: $no_blanks"
	fi
	join_preload "$library"
	preload=$found
	unset LD_PRELOAD        # for what is called here
	read_elf "${library:-$BASH}"
	library_bits=$elf_bits library_machine=$elf_machine
	if follow "$program"; then
		read_elf "$program"
		check_program "$preload"
	fi
	[[ $verdict -ne 0 ]] || finding yes "$program"
	exit "$verdict"
}

# check_program PRELOAD
check_program() {
	check_kind || return
	check_rights
	loaded=
	[[ -z $library ]] || check_loader "$1"
	check_symbols
	check_confinement
}
