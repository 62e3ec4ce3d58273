/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/transport/link_suite.h"

int main(void)
{
    return link_suite_run(&(struct link_suite){
               .name = "loop", .url = "loop://suite", .farewell = true }) != 0;
}
