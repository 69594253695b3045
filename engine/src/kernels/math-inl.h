/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of 16 floats and sums over them, written once over the vector vocabulary. The same
 * instructions run for whole vectors and for tails (masked at load and store), so an element's
 * result does not depend on where it stands. Coefficients: docs/kernels.md says how they were made.
 */

/* e^x for x <= 0: at most 2 ulp; 0 below -87.3 (the last normal number); NaN for NaN. */
static inline vec vec_exp_nonpositive(vec x)
{
    const vec least = vec_set1(-87.3f);
    vec c = vec_max(least, x); /* keeps NaN: the second operand wins */
    vec n = vec_round(vec_mul(c, vec_set1(1.44269504f)));
    /* ln 2 in two parts; the first has few bits, so n times it is exact */
    vec r = vec_fma(n, vec_set1(-0.693359375f), c);
    r = vec_fma(n, vec_set1(2.12194440e-4f), r);
    vec p = vec_set1(1.381459848e-03f);
    p = vec_fma(p, r, vec_set1(8.368716887e-03f));
    p = vec_fma(p, r, vec_set1(4.166838805e-02f));
    p = vec_fma(p, r, vec_set1(1.666652063e-01f));
    p = vec_fma(p, r, vec_set1(4.999999345e-01f));
    p = vec_fma(vec_mul(r, r), p, r);
    p = vec_add(p, vec_set1(1.0f));
    return vec_if_less(x, least, vec_set1(0.0f), vec_scale(p, n));
}

/* x * Phi(x), Phi the normal distribution's integral: 0.5 + x R(x^2) up to |x| = 5.5, then 0 or 1.
 * R is a polynomial in x^2 mapped to -1..1, where its coefficients are small and nothing cancels.
 */
static inline vec vec_gelu(vec x)
{
    const vec edge = vec_set1(5.5f), minus_edge = vec_set1(-5.5f);
    vec c = vec_min(edge, vec_max(minus_edge, x));
    vec s = vec_fma(vec_mul(c, c), vec_set1((float)(2.0 / 30.25)), vec_set1(-1.0f));
    vec p = vec_set1(-1.906553647e-04f);
    p = vec_fma(p, s, vec_set1(5.920475675e-04f));
    p = vec_fma(p, s, vec_set1(-6.733035119e-04f));
    p = vec_fma(p, s, vec_set1(8.411552705e-04f));
    p = vec_fma(p, s, vec_set1(-2.240180991e-03f));
    p = vec_fma(p, s, vec_set1(4.477515409e-03f));
    p = vec_fma(p, s, vec_set1(-6.929957802e-03f));
    p = vec_fma(p, s, vec_set1(1.031211770e-02f));
    p = vec_fma(p, s, vec_set1(-1.496374869e-02f));
    p = vec_fma(p, s, vec_set1(2.033962199e-02f));
    p = vec_fma(p, s, vec_set1(-2.605386849e-02f));
    p = vec_fma(p, s, vec_set1(3.207371870e-02f));
    p = vec_fma(p, s, vec_set1(-3.879241277e-02f));
    p = vec_fma(p, s, vec_set1(4.773745076e-02f));
    p = vec_fma(p, s, vec_set1(-6.417234528e-02f));
    p = vec_fma(p, s, vec_set1(1.285519323e-01f));
    vec phi = vec_fma(c, p, vec_set1(0.5f));
    phi = vec_if_less(x, minus_edge, vec_set1(0.0f), phi);
    phi = vec_if_less(edge, x, vec_set1(1.0f), phi);
    return vec_mul(x, phi);
}

/* The same to 1.5e-4, for results that are rounded to 8 bits next: max(x, 0) - |x| Phi(-|x|), the
 * second term a polynomial up to |x| = 4.2, where it is as good as nothing. */
static inline vec vec_gelu_short(vec x)
{
    vec a = vec_min(vec_set1(4.2f), vec_abs(x)); /* the second operand if it is NaN */
    vec p = vec_set1(7.900567651e-05f);
    p = vec_fma(p, a, vec_set1(-1.905736512e-03f));
    p = vec_fma(p, a, vec_set1(1.815744896e-02f));
    p = vec_fma(p, a, vec_set1(-8.570621182e-02f));
    p = vec_fma(p, a, vec_set1(1.937068995e-01f));
    p = vec_fma(p, a, vec_set1(-9.923318577e-02f));
    p = vec_fma(p, a, vec_set1(-3.612517513e-01f));
    p = vec_fma(p, a, vec_set1(4.945564374e-01f));
    p = vec_fma(p, a, vec_set1(1.289423150e-04f));
    return vec_sub(vec_max(vec_set1(0.0f), x), p);
}

/* (1 - e^-2|x|) / (1 + e^-2|x|) with x's sign; near 0, where that cancels, x + x^3 T(x^2). */
static inline vec vec_tanh(vec x)
{
    vec a = vec_abs(x), one = vec_set1(1.0f);
    vec e = vec_exp_nonpositive(vec_mul(a, vec_set1(-2.0f)));
    vec far = vec_div(vec_sub(one, e), vec_add(one, e));
    vec u = vec_mul(a, a);
    vec p = vec_set1(-5.717044954e-03f);
    p = vec_fma(p, u, vec_set1(2.065058722e-02f));
    p = vec_fma(p, u, vec_set1(-5.374349806e-02f));
    p = vec_fma(p, u, vec_set1(1.333149129e-01f));
    p = vec_fma(p, u, vec_set1(-3.333328393e-01f));
    vec near = vec_fma(vec_mul(a, u), p, a);
    return vec_copysign(vec_if_less(a, vec_set1(0.625f), near, far), x);
}
