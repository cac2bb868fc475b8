/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BTN_DIE_H
#define BTN_DIE_H

/*
 * Ends the process for what cannot happen, and did: a kernel answer that its documentation excludes, or
 * a use of an object that its header forbids. Prints "baton: WHAT (CODE)" on
 * stderr, or tells a hook of the service's, and aborts. Async-signal-safe.
 */
__attribute__((noreturn, cold)) void btn_die(const char *what, long code);

#endif
