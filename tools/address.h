/* SPDX-License-Identifier: Apache-2.0 */
/* tools/address.h - URLs to listen on, looked at before anything is opened. */
#ifndef SE_TOOLS_ADDRESS_H
#define SE_TOOLS_ADDRESS_H

#include <stddef.h>

/* urls: one or several with commas between. -EINVAL with a text that quotes the URL: no scheme, one
 * that this build does not have, no address, or over tcp no port. Whether it can be listened on
 * is for the system to say. */
int se_address_check(const char *urls);

/* The first of them that other machines can reach, *len bytes long; NULL: this machine alone can. A
 * name other than localhost may lead anywhere. */
const char *se_address_open(const char *urls, int *len);

/* The first of them as an edge would write it: where all addresses of this machine are meant, its
 * name. Returns buffer. */
const char *se_address_reach(const char *urls, char *buffer, size_t size_b);

#endif
