/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/transport/link_suite.h"

int main(void)
{
    const struct link_suite suites[] = {
        { .name = "loop", .url = "loop://suite", .farewell = true },
        { .name = "loop, spinning", .url = "loop://suite", .farewell = true, .spin_ns = 20000 },
    };
    return link_suite_run(&suites[0]) + link_suite_run(&suites[1]) != 0;
}
