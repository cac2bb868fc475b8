# SPDX-License-Identifier: GPL-2.0-or-later
#
# bash completes verbs and options of baton from what the command's own --help says, so that it knows each one.
_baton() {
	local cur=${COMP_WORDS[COMP_CWORD]} verbs=() word help
	help=$("${COMP_WORDS[0]}" --help 2>/dev/null) || return
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		[[ $help == 'usage: '*' VERB '* ]] || break
		[[ $word != -* ]] || continue
		verbs+=("$word")
		help=$("${COMP_WORDS[0]}" "${verbs[@]}" --help 2>/dev/null) || return
	done
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "--help --version $(grep -o -e '--[a-z][a-z-]*' <<<"$help" | sort -u)" -- "$cur")
	elif [[ $help == 'usage: '*' VERB '* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' <<<"$help")" -- "$cur")
	else
		# A file, or a service by its page's name.
		compopt -o default 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -W "$(ls /run/baton 2>/dev/null | grep -v '\.')" -- "$cur")
	fi
}
complete -F _baton baton
