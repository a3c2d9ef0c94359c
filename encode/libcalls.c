#include "encode/libcalls.h"

#include <stdarg.h>
#include <stdbool.h>

#include "encode/buf.h"

void (*libcalls_end_thread)(void);

void *libcalls_malloc(size_t n)
{
	(void)n;
	return NULL;
}

void *libcalls_calloc(size_t n, size_t size)
{
	(void)n;
	(void)size;
	return NULL;
}

void *libcalls_realloc(void *p, size_t n)
{
	(void)p;
	(void)n;
	return NULL;
}

void libcalls_free(void *p)
{
	(void)p;
}

_Noreturn void libcalls_abort(void)
{
	if (libcalls_end_thread != NULL)
		libcalls_end_thread();
	for (;;)
		;
}

_Noreturn void libcalls_assert_fail(const char *claim, const char *file, unsigned line,
				    const char *function)
{
	(void)claim;
	(void)file;
	(void)line;
	(void)function;
	libcalls_abort();
}

_Noreturn void libcalls_stack_chk_fail(void)
{
	libcalls_abort();
}

/* One conversion, without its '%'.  Returns what follows it, or NULL if it is not known. */
static const char *convert(struct buf *b, const char *format, va_list *arg)
{
	bool wide = *format == 'l';

	if (wide)
		format++;
	switch (*format) {
	case 'd':
		buf_signed(b, wide ? va_arg(*arg, long) : va_arg(*arg, int));
		break;
	case 'u':
		buf_unsigned(b, wide ? va_arg(*arg, unsigned long) : va_arg(*arg, unsigned));
		break;
	case 'x':
		buf_hex(b, wide ? va_arg(*arg, unsigned long) : va_arg(*arg, unsigned), 1);
		break;
	default:
		return NULL;
	}
	return format + 1;
}

/* Writes at most size bytes with the final 0.  Returns the length that the whole text has. */
static int print(char *s, size_t size, const char *format, va_list *arg)
{
	struct buf b = buf_bounded(s, size > 0 ? size - 1 : 0);

	while (format != NULL && *format != 0) {
		if (*format == '%') {
			format = convert(&b, format + 1, arg);
			continue;
		}
		buf_bytes(&b, format++, 1);
	}
	if (size > 0)
		s[buf_fits(&b) ? b.len : b.cap] = 0;
	return (int)b.len;
}

int libcalls_sprintf(char *s, const char *format, ...)
{
	va_list arg;
	int len;

	va_start(arg, format);
	len = print(s, LIBCALLS_SPRINTF_MAX, format, &arg);
	va_end(arg);
	return len;
}

int libcalls_sprintf_chk(char *s, int flag, size_t size, const char *format, ...)
{
	va_list arg;
	int len;

	(void)flag;
	va_start(arg, format);
	len = print(s, size, format, &arg);
	va_end(arg);
	return len;
}

int libcalls_snprintf(char *s, size_t n, const char *format, ...)
{
	va_list arg;
	int len;

	va_start(arg, format);
	len = print(s, n, format, &arg);
	va_end(arg);
	return len;
}

int libcalls_snprintf_chk(char *s, size_t n, int flag, size_t size, const char *format, ...)
{
	va_list arg;
	int len;

	(void)flag;
	va_start(arg, format);
	len = print(s, n < size ? n : size, format, &arg);
	va_end(arg);
	return len;
}
