/* httpd/thread_text.h -- goroutine?debug=2: what each thread does, as Go prints its goroutines.
 *
 *     goroutine 4242 [running]:
 *     serve_goroutine(...)
 *     	/usr/lib/libpprofshim.so.s:0 +0x1
 *
 *     goroutine 4240 [sync.Mutex.Lock (hot_lock held by 4241 worker), 3 minutes]:
 *     pthread_mutex_lock(...)
 *     	/usr/lib/x86_64-linux-gnu/libc.so.6.s:0 +0x112
 *     work(...)
 *     	/usr/bin/app.s:0 +0x1f
 *     created by main in goroutine 4239
 *     	/usr/bin/app.s:0 +0x65
 *
 * Readers of Go's dumps decide the form (panicparse, gostackparse): in the brackets only the
 * minutes may follow a comma, and a file is one of Go, C or assembly; of the latter, for what we
 * have is code.  labels=thread adds names as Go 1.27 does, which these readers do not know yet:
 *
 *     goroutine 4241 [sleep] {thread: worker}:
 *
 * Context   our thread, inside a job; memory of the request's arena. */
#ifndef HTTPD_THREAD_TEXT_H
#define HTTPD_THREAD_TEXT_H

#include "httpd/thread_dump.h"

void thread_text_write(struct exchange *x, const struct thread_dump *d);

#endif
