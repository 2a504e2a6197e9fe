/*
 * Loaded into the hosts' kernel (LD_PRELOAD, see kernel.py): lets user-mode Linux 6.1 run on CPUs with AMX.
 *
 * That kernel has room for 2696 bytes of a process's extended registers, which is all up to AVX-512 and
 * protection keys. On a CPU with AMX there are 11008, and the machine's kernel takes registers back only as
 * a whole (EFAULT otherwise): the host's first process ends, and with it the host. Here what the kernel hands
 * over is completed. The rest is in its initial state and can be in no other: AMX is only for those who ask
 * the kernel for it (arch_prctl), and this kernel does not know the question.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { HEADER = 512 }; /* of the standard XSAVE format: first in it, which components are not initial */

typedef long (*ptrace_function)(int, pid_t, void *, void *);

static unsigned char whole[1 << 16]; /* not on the stack: the kernel's stacks are small; one thread traces */

/* The components of the extended registers that lie in their first `length` bytes, one bit each. */
static uint64_t components_within(size_t length)
{
	uint64_t found = 3; /* x87 and SSE, before the header */
	unsigned size, offset, flags, unused;

	for (int number = 2; number < 63; number++) {
		__cpuid_count(0xd, number, size, offset, flags, unused);
		if (size != 0 && offset + size <= length)
			found |= UINT64_C(1) << number;
	}
	return found;
}

long ptrace(enum __ptrace_request request, ...)
{
	static ptrace_function next;
	static size_t full, known;
	static uint64_t within;
	va_list arguments;

	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if (next == NULL)
		next = (ptrace_function)dlsym(RTLD_NEXT, "ptrace");
	if (request != PTRACE_SETREGSET || (uintptr_t)address != NT_X86_XSTATE)
		return next(request, pid, address, data);

	const struct iovec *given = data;
	struct iovec complete = { .iov_base = whole, .iov_len = sizeof whole };

	if (full == 0) { /* the machine says it by how much it fills */
		if (next(PTRACE_GETREGSET, pid, address, &complete) < 0)
			return -1;
		full = complete.iov_len;
	}
	if (given->iov_len >= full || given->iov_len < HEADER + sizeof within)
		return next(request, pid, address, data);
	if (known != given->iov_len) {
		known = given->iov_len;
		within = components_within(known);
	}
	memset(whole, 0, full);
	memcpy(whole, given->iov_base, given->iov_len);
	uint64_t used;
	memcpy(&used, whole + HEADER, sizeof used);
	used &= within;
	memcpy(whole + HEADER, &used, sizeof used);
	complete.iov_len = full;
	return next(request, pid, address, &complete);
}
