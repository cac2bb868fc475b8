// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"
#include "symbols.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_LIBDW
#include <elfutils/libdwfl.h>
#endif

struct kernel_symbol {
	uint64_t address;
	char *name;
};

struct symbols {
	struct kernel_symbol *kernel;
	size_t kernel_n;
#ifdef HAVE_LIBDW
	Dwfl *dwfl;
#endif
};

static int by_address(const void *a, const void *b)
{
	const struct kernel_symbol *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

static void read_kernel(struct symbols *s)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char *line = NULL, name[128], kind;
	size_t room = 0, size = 0;
	uint64_t address;

	while (f && getline(&line, &size, f) > 0) {
		if (sscanf(line, "%" SCNx64 " %c %127s", &address, &kind, name) != 3 || !address || !strchr("tTwW", kind))
			continue;
		if (s->kernel_n == room) {
			struct kernel_symbol *more = realloc(s->kernel, (room ? 2 * room : 4096) * sizeof(*more));

			if (!more)
				break;
			s->kernel = more;
			room = room ? 2 * room : 4096;
		}
		s->kernel[s->kernel_n].address = address;
		s->kernel[s->kernel_n].name = strdup(name);
		if (!s->kernel[s->kernel_n].name)
			break;
		s->kernel_n++;
	}
	free(line);
	if (f)
		fclose(f);
	if (s->kernel_n)
		qsort(s->kernel, s->kernel_n, sizeof(*s->kernel), by_address);
}

struct symbols *symbols_open(pid_t pid)
{
	struct symbols *s = calloc(1, sizeof(*s));
#ifdef HAVE_LIBDW
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
	};
#endif

	if (!s)
		return NULL;
	read_kernel(s);
#ifdef HAVE_LIBDW
	s->dwfl = dwfl_begin(&callbacks);
	if (s->dwfl) {
		dwfl_report_begin(s->dwfl);
		/* A process that may not be looked into gives no module, and so addresses. */
		dwfl_linux_proc_report(s->dwfl, pid);
		dwfl_report_end(s->dwfl, NULL, NULL);
	}
#endif
	return s;
}

void symbols_close(struct symbols *s)
{
	size_t i;

	if (!s)
		return;
#ifdef HAVE_LIBDW
	if (s->dwfl)
		dwfl_end(s->dwfl);
#endif
	for (i = 0; i < s->kernel_n; i++)
		free(s->kernel[i].name);
	free(s->kernel);
	free(s);
}

#ifdef HAVE_LIBDW

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

static char *describe(Dwfl *dwfl, uint64_t address, bool call)
{
	uint64_t at = call ? address - 1 : address;
	Dwfl_Module *module = dwfl ? dwfl_addrmodule(dwfl, at) : NULL;
	const char *file, *function, *source;
	Dwarf_Addr start, end;
	Dwfl_Line *line;
	GElf_Off offset;
	GElf_Sym symbol;
	char *text;
	int nr, n;

	if (!module)
		return NULL;
	file = base_name(dwfl_module_info(module, NULL, &start, &end, NULL, NULL, NULL, NULL));
	/* The module may be the one before. */
	if (at < start || at >= end)
		return NULL;
	function = dwfl_module_addrinfo(module, at, &offset, &symbol, NULL, NULL, NULL);
	line = dwfl_module_getsrc(module, at);
	source = line ? base_name(dwfl_lineinfo(line, NULL, &nr, NULL, NULL, NULL)) : NULL;
	if (!function)
		n = asprintf(&text, "%#" PRIx64 " (%s)", address, file ? file : "?");
	else if (source)
		n = asprintf(&text, "%s (%s, %s:%d)", function, file ? file : "?", source, nr);
	else
		n = asprintf(&text, "%s (%s)", function, file ? file : "?");
	return n < 0 ? NULL : text;
}

#endif

char *symbols_user(struct symbols *s, uint64_t address, bool call)
{
	char *text = NULL;

#ifdef HAVE_LIBDW
	text = describe(s->dwfl, address, call);
#endif
	if (!text && asprintf(&text, "%#" PRIx64, address) < 0)
		return NULL;
	return text;
}

const char *symbols_kernel(struct symbols *s, uint64_t address)
{
	size_t lo = 0, hi = s->kernel_n;

	/* The last one that begins at or before it. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->kernel[mid].address <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? s->kernel[lo - 1].name : NULL;
}
