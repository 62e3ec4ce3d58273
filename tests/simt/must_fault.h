/* SPDX-License-Identifier: Apache-2.0 */
/* tests/simt/must_fault.h - that the emulator finds a fault, and what it says of it. */
#ifndef SE_TESTS_SIMT_MUST_FAULT_H
#define SE_TESTS_SIMT_MUST_FAULT_H

/* Runs it in a process of its own, which must end by a fault whose text holds the words; fails
 * the test when it does not. */
void must_fault(void (*run)(void), const char *words);

#endif
