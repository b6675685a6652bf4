/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headers.cc - nothing: what the tests' precompiled header is made for.
 */
