/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/unicode.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#include "runtime/text/utf8.h"

/* The categories that occur in the table, each with a character of three bytes and one of
 * four that has been in it for long, and that no pattern we know names by itself. What is part of a
 * word comes first. */
enum kind { LU, LL, LM, LO, MN, MC, ND, NO, PD, PO, SM, SO, CF };
static const char stand_in[][2][5] = {
    [LU] = { "\u1e00", "\U00010400" }, [LL] = { "\u1e01", "\U00010428" },
    [LM] = { "\u0971", "\U00016b40" }, [LO] = { "\ua4d0", "\U00010000" },
    [MN] = { "\u0900", "\U000101fd" }, [MC] = { "\u0903", "\U00011000" },
    [ND] = { "\u0966", "\U000104a0" }, [NO] = { "\u09f4", "\U00010107" },
    [PD] = { "\u2010", "\U00010ead" }, [PO] = { "\u0964", "\U00010100" },
    [SM] = { "\u2200", "\U0001d6c1" }, [SO] = { "\u2100", "\U00010137" },
    [CF] = { "\u200b", "\U000110bd" },
};

struct range {
    uint32_t first, last;
};

/* What the library sees otherwise than PCRE2 10.42, and as what:
 * tests/golden/make_unicode.py table. */
static const struct {
    uint32_t first, last;
    enum kind kind;
} apart[] = {
    { 0x897, 0x897, MN },     { 0xcf3, 0xcf3, MC },     { 0xece, 0xece, MN },
    { 0x180e, 0x180e, CF },   { 0x1b4e, 0x1b4f, PO },   { 0x1b7f, 0x1b7f, PO },
    { 0x1c89, 0x1c89, LU },   { 0x1c8a, 0x1c8a, LL },   { 0x2427, 0x2429, SO },
    { 0x2ffc, 0x2fff, SO },   { 0x31e4, 0x31e5, SO },   { 0x31ef, 0x31ef, SO },
    { 0xa7cb, 0xa7cc, LU },   { 0xa7cd, 0xa7cd, LL },   { 0xa7da, 0xa7da, LU },
    { 0xa7db, 0xa7db, LL },   { 0xa7dc, 0xa7dc, LU },   { 0x105c0, 0x105f3, LO },
    { 0x10d40, 0x10d49, ND }, { 0x10d4a, 0x10d4d, LO }, { 0x10d4e, 0x10d4e, LM },
    { 0x10d4f, 0x10d4f, LO }, { 0x10d50, 0x10d65, LU }, { 0x10d69, 0x10d6d, MN },
    { 0x10d6e, 0x10d6e, PD }, { 0x10d6f, 0x10d6f, LM }, { 0x10d70, 0x10d85, LL },
    { 0x10d8e, 0x10d8f, SM }, { 0x10ec2, 0x10ec4, LO }, { 0x10efc, 0x10eff, MN },
    { 0x1123f, 0x11240, LO }, { 0x11241, 0x11241, MN }, { 0x11380, 0x11389, LO },
    { 0x1138b, 0x1138b, LO }, { 0x1138e, 0x1138e, LO }, { 0x11390, 0x113b5, LO },
    { 0x113b7, 0x113b7, LO }, { 0x113b8, 0x113ba, MC }, { 0x113bb, 0x113c0, MN },
    { 0x113c2, 0x113c2, MC }, { 0x113c5, 0x113c5, MC }, { 0x113c7, 0x113ca, MC },
    { 0x113cc, 0x113cd, MC }, { 0x113ce, 0x113ce, MN }, { 0x113cf, 0x113cf, MC },
    { 0x113d0, 0x113d0, MN }, { 0x113d1, 0x113d1, LO }, { 0x113d2, 0x113d2, MN },
    { 0x113d3, 0x113d3, LO }, { 0x113d4, 0x113d5, PO }, { 0x113d7, 0x113d8, PO },
    { 0x113e1, 0x113e2, MN }, { 0x116d0, 0x116e3, ND }, { 0x1171e, 0x1171e, MC },
    { 0x11b00, 0x11b09, PO }, { 0x11bc0, 0x11be0, LO }, { 0x11be1, 0x11be1, PO },
    { 0x11bf0, 0x11bf9, ND }, { 0x11f00, 0x11f01, MN }, { 0x11f02, 0x11f02, LO },
    { 0x11f03, 0x11f03, MC }, { 0x11f04, 0x11f10, LO }, { 0x11f12, 0x11f33, LO },
    { 0x11f34, 0x11f35, MC }, { 0x11f36, 0x11f3a, MN }, { 0x11f3e, 0x11f3f, MC },
    { 0x11f40, 0x11f40, MN }, { 0x11f41, 0x11f41, MC }, { 0x11f42, 0x11f42, MN },
    { 0x11f43, 0x11f4f, PO }, { 0x11f50, 0x11f59, ND }, { 0x11f5a, 0x11f5a, MN },
    { 0x1342f, 0x1342f, LO }, { 0x13439, 0x1343f, CF }, { 0x13440, 0x13440, MN },
    { 0x13441, 0x13446, LO }, { 0x13447, 0x13455, MN }, { 0x13460, 0x143fa, LO },
    { 0x16100, 0x1611d, LO }, { 0x1611e, 0x16129, MN }, { 0x1612a, 0x1612c, MC },
    { 0x1612d, 0x1612f, MN }, { 0x16130, 0x16139, ND }, { 0x16d40, 0x16d42, LM },
    { 0x16d43, 0x16d6a, LO }, { 0x16d6b, 0x16d6c, LM }, { 0x16d6d, 0x16d6f, PO },
    { 0x16d70, 0x16d79, ND }, { 0x18cff, 0x18cff, LO }, { 0x1b132, 0x1b132, LO },
    { 0x1b155, 0x1b155, LO }, { 0x1cc00, 0x1ccef, SO }, { 0x1ccf0, 0x1ccf9, ND },
    { 0x1cd00, 0x1ceb3, SO }, { 0x1d2c0, 0x1d2d3, NO }, { 0x1df25, 0x1df2a, LL },
    { 0x1e030, 0x1e06d, LM }, { 0x1e08f, 0x1e08f, MN }, { 0x1e4d0, 0x1e4ea, LO },
    { 0x1e4eb, 0x1e4eb, LM }, { 0x1e4ec, 0x1e4ef, MN }, { 0x1e4f0, 0x1e4f9, ND },
    { 0x1e5d0, 0x1e5ed, LO }, { 0x1e5ee, 0x1e5ef, MN }, { 0x1e5f0, 0x1e5f0, LO },
    { 0x1e5f1, 0x1e5fa, ND }, { 0x1e5ff, 0x1e5ff, PO }, { 0x1f6dc, 0x1f6dc, SO },
    { 0x1f774, 0x1f776, SO }, { 0x1f77b, 0x1f77f, SO }, { 0x1f7d9, 0x1f7d9, SO },
    { 0x1f8b2, 0x1f8bb, SO }, { 0x1f8c0, 0x1f8c1, SO }, { 0x1fa75, 0x1fa77, SO },
    { 0x1fa87, 0x1fa89, SO }, { 0x1fa8f, 0x1fa8f, SO }, { 0x1faad, 0x1faaf, SO },
    { 0x1fabb, 0x1fabf, SO }, { 0x1fac6, 0x1fac6, SO }, { 0x1face, 0x1facf, SO },
    { 0x1fada, 0x1fadc, SO }, { 0x1fadf, 0x1fadf, SO }, { 0x1fae8, 0x1fae9, SO },
    { 0x1faf7, 0x1faf8, SO }, { 0x1fbcb, 0x1fbef, SO }, { 0x2b739, 0x2b739, LO },
    { 0x2ebf0, 0x2ee5d, LO }, { 0x31350, 0x323af, LO },
};

/* tests/golden/make_unicode.py inert */
static const struct range inert[] = {
    { 0x7fd, 0x7fd },     { 0x898, 0x89f },     { 0x8ca, 0x8d3 },     { 0x9fe, 0x9fe },
    { 0xc3c, 0xc3c },     { 0xd3b, 0xd3c },     { 0xeba, 0xeba },     { 0x1715, 0x1715 },
    { 0x1abf, 0x1ace },   { 0x1df6, 0x1dfa },   { 0x32ff, 0x32ff },   { 0xa7f2, 0xa7f4 },
    { 0xa82c, 0xa82c },   { 0xab69, 0xab69 },   { 0x10781, 0x10785 }, { 0x10787, 0x107b0 },
    { 0x107b2, 0x107ba }, { 0x10d24, 0x10d27 }, { 0x10eab, 0x10eac }, { 0x10f46, 0x10f50 },
    { 0x10f82, 0x10f85 }, { 0x11070, 0x11070 }, { 0x1133b, 0x1133b }, { 0x1145e, 0x1145e },
    { 0x11839, 0x1183a }, { 0x11930, 0x11930 }, { 0x11938, 0x11938 }, { 0x1193d, 0x1193e },
    { 0x11943, 0x11943 }, { 0x119e0, 0x119e0 }, { 0x11a34, 0x11a34 }, { 0x11a47, 0x11a47 },
    { 0x11a99, 0x11a99 }, { 0x11d42, 0x11d42 }, { 0x11d44, 0x11d45 }, { 0x11d97, 0x11d97 },
    { 0x16ff0, 0x16ff1 }, { 0x1e130, 0x1e136 }, { 0x1e2ae, 0x1e2ae }, { 0x1e2ec, 0x1e2ef },
    { 0x1f16c, 0x1f16c }, { 0x1fbf0, 0x1fbf9 },
};

static const struct range space[] = {
    { 0x09, 0x0d },     { 0x20, 0x20 },     { 0x85, 0x85 },     { 0xa0, 0xa0 },
    { 0x1680, 0x1680 }, { 0x2000, 0x200a }, { 0x2028, 0x2029 }, { 0x202f, 0x202f },
    { 0x205f, 0x205f }, { 0x3000, 0x3000 },
};

/* Letters by use, not by category; and the joiners. */
static const struct range word[] = {
    { 0x200c, 0x200d },   { 0x24b6, 0x24e9 },   { 0x1f130, 0x1f149 },
    { 0x1f150, 0x1f169 }, { 0x1f170, 0x1f189 },
};

#define N_OF(array) (sizeof(array) / sizeof *(array))

static bool within(const struct range *ranges, size_t n, uint32_t character)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (character > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && character >= ranges[low].first;
}

bool se_unicode_space(uint32_t character) { return within(space, N_OF(space), character); }

/* The row of the table that a character of three or four bytes is in, or -1. */
static int row_of(uint32_t character)
{
    if (character > 0x31ef && character < 0xa7cb)
        return -1; /* most of what is written in Chinese */
    if (character > 0xa7dc && character < 0x10000)
        return -1; /* and in Korean */
    if (character > apart[N_OF(apart) - 1].last)
        return -1;
    size_t low = 0, high = N_OF(apart);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (character > apart[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < N_OF(apart) && character >= apart[low].first ? (int)low : -1;
}

/* What is newer than PCRE2's tables is newer than those for normalising, too. */
bool se_unicode_inert(uint32_t character)
{
    return character >= inert[0].first && (within(inert, N_OF(inert), character) ||
                                           (character >= 0x800 && row_of(character) >= 0));
}

bool se_unicode_word(uint32_t character)
{
    if (character >= 0x800) {
        int row = row_of(character);
        if (row >= 0)
            return apart[row].kind <= ND;
    }
    if (within(word, N_OF(word), character))
        return true;
    switch (utf8proc_category((utf8proc_int32_t)character)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return false;
    }
}

size_t se_unicode_same(const char *text, size_t len_b)
{
    size_t at = 0;
    while (at < len_b) {
        unsigned char first = (unsigned char)text[at];
        if (first < 0xe0)
            at++; /* a byte after the first of a two-byte character is below 0xe0 too */
        else if (row_of(se_utf8_get(text + at)) >= 0)
            break;
        else
            at += se_utf8_len(first);
    }
    return at;
}

void se_unicode_stand_in(char *text, size_t len_b)
{
    for (size_t at = 0; (at += se_unicode_same(text + at, len_b - at)) < len_b;) {
        unsigned n = se_utf8_len((unsigned char)text[at]);
        int row = row_of(se_utf8_get(text + at));
        memcpy(text + at, stand_in[apart[row].kind][n - 3], n);
        at += n;
    }
}
