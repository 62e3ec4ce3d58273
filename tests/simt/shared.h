/* SPDX-License-Identifier: Apache-2.0 */
/* tests/simt/shared.h - a block's shared memory, where every access is looked at.
 *
 * An element notes who wrote it and who has read it, and how many barriers they had passed. What
 * is found: an index beyond the array, a read of what no thread of this block has written, and a
 * race: two threads at one element, one of them writing, with nothing between that orders them.
 * What orders: __syncthreads for the block, __syncwarp for a warp, and nothing else (a shuffle
 * does not). Not a race: both are atomic, or both write the value that was there. */
#ifndef SE_TESTS_SIMT_SHARED_H
#define SE_TESTS_SIMT_SHARED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

struct simt_mark {
    uint32_t block; /* serial number of the block that the rest is about */
    bool written, written_atomic, read;
    uint16_t writer, reader; /* threads; of several readers at once: SIMT_SEVERAL */
    uint16_t reading_warp;   /* the same */
    uint32_t written_block_epoch, written_warp_epoch;
    uint32_t read_block_epoch, read_warp_epoch;
};

enum { SIMT_SEVERAL = 0xffff };

/* One __shared__ variable: of this place in the source, in this block. */
struct simt_area {
    void *data;
    struct simt_mark *marks;
    const char *name;
    size_t n;
};

/* A number for a place in the source. */
unsigned simt_site(void);
/* The variable; every thread of the block gets the same. The first one's call makes it. */
struct simt_area simt_area_at(unsigned site, const char *name, size_t n, size_t element_b);

size_t simt_index_check(const struct simt_area *area, long long index);
void simt_note_read(const struct simt_area *area, size_t index);
void simt_note_write(const struct simt_area *area, size_t index, bool same);
void simt_note_atomic(const struct simt_area *area, size_t index);

template <typename T>
class simt_pointer;

/* An element: reads as a T, is assigned a T. */
template <typename T>
class simt_element
{
  public:
    simt_element(const struct simt_area &area, size_t index) : area_(area), index_(index) {}
    simt_element(const simt_element &other) = default;

    operator T() const
    {
        simt_note_read(&area_, index_);
        return *raw();
    }
    T operator=(T value)
    {
        simt_note_write(&area_, index_, memcmp(raw(), &value, sizeof value) == 0);
        return *raw() = value;
    }
    T operator=(const simt_element &other) { return *this = (T)other; }
    template <typename U>
    T operator=(const simt_element<U> &other)
    {
        return *this = (T)(U)other;
    }

    T operator+=(T value) { return *this = (T)((T) * this + value); }
    T operator-=(T value) { return *this = (T)((T) * this - value); }
    T operator*=(T value) { return *this = (T)((T) * this * value); }
    T operator/=(T value) { return *this = (T)((T) * this / value); }
    T operator|=(T value) { return *this = (T)((T) * this | value); }
    T operator&=(T value) { return *this = (T)((T) * this & value); }
    T operator^=(T value) { return *this = (T)((T) * this ^ value); }
    T operator<<=(unsigned by) { return *this = (T)((T) * this << by); }
    T operator>>=(unsigned by) { return *this = (T)((T) * this >> by); }
    T operator++() { return *this += 1; }
    T operator--() { return *this -= 1; }
    T operator++(int)
    {
        T before = *this;
        *this = (T)(before + 1);
        return before;
    }
    T operator--(int)
    {
        T before = *this;
        *this = (T)(before - 1);
        return before;
    }

    simt_pointer<T> operator&() const { return simt_pointer<T>(area_, (long long)index_); }

    /* For an atomic operation: the element itself. */
    T *atomic() const
    {
        simt_note_atomic(&area_, index_);
        return raw();
    }

  private:
    T *raw() const { return (T *)area_.data + index_; }

    struct simt_area area_;
    size_t index_;
};

/* Where an element lies: what a pointer into shared memory is here. */
template <typename T>
class simt_pointer
{
  public:
    typedef typename std::remove_const<T>::type value;

    simt_pointer(const struct simt_area &area, long long at) : area_(area), at_(at) {}

    simt_element<value> operator[](long long i) const
    {
        return simt_element<value>(area_, simt_index_check(&area_, at_ + i));
    }
    simt_element<value> operator*() const { return (*this)[0]; }
    simt_pointer operator+(long long n) const { return simt_pointer(area_, at_ + n); }
    simt_pointer operator-(long long n) const { return simt_pointer(area_, at_ - n); }
    simt_pointer &operator+=(long long n)
    {
        at_ += n;
        return *this;
    }
    operator simt_pointer<const T>() const { return simt_pointer<const T>(area_, at_); }

  private:
    struct simt_area area_;
    long long at_;
};

/* One object: watched when it is a plain value; a struct is only filled with 0xff at first. */
template <typename T, bool plain = std::is_scalar<T>::value>
struct simt_object {
    typedef simt_element<T> handle;
    static handle at(unsigned site, const char *name)
    {
        return handle(simt_area_at(site, name, 1, sizeof(T)), 0);
    }
};

template <typename T>
struct simt_object<T, false> {
    typedef T &handle;
    static handle at(unsigned site, const char *name)
    {
        return *(T *)simt_area_at(site, name, 1, sizeof(T)).data;
    }
};

#define SE_SHARED(type, name) \
    static const unsigned name##_site = simt_site(); \
    simt_object<type>::handle name(simt_object<type>::at(name##_site, #name))

#define SE_SHARED_ARRAY(type, name, n) \
    static const unsigned name##_site = simt_site(); \
    const simt_pointer<type> name(simt_area_at(name##_site, #name, (n), sizeof(type)), 0)

#define SE_SHARED_POINTER(type) simt_pointer<type>

#endif
