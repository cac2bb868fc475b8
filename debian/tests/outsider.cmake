# SPDX-License-Identifier: GPL-2.0-or-later
cmake_minimum_required(VERSION 3.13)
project(outsider C)
find_package(baton REQUIRED)
add_executable(shared turns.c)
target_link_libraries(shared baton::baton)
add_executable(static turns.c)
target_link_libraries(static baton::static)
