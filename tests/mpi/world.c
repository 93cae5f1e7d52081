/* MPI in a few strokes: who is there, a message round the ring, and the sum of a large vector. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    int rank, size, local, token = 1, length;
    char host[MPI_MAX_PROCESSOR_NAME];
    size_t count = argc > 1 ? (size_t) atol(argv[1]) / sizeof(double) : 1, bad = 0;
    MPI_Comm node;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &local);
    MPI_Get_processor_name(host, &length);
    printf("rank %d of %d, %d on its node\n", rank, size, local);
    if (size > 1) {
        int left = (rank + size - 1) % size, right = (rank + 1) % size;
        if (rank == 0) {
            MPI_Send(&token, 1, MPI_INT, right, 0, MPI_COMM_WORLD);
            MPI_Recv(&token, 1, MPI_INT, left, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            printf("ring: %d\n", token);
        } else {
            MPI_Recv(&token, 1, MPI_INT, left, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            token++;
            MPI_Send(&token, 1, MPI_INT, right, 0, MPI_COMM_WORLD);
        }
    }
    double *mine = malloc(count * sizeof *mine), *sum = malloc(count * sizeof *sum);
    for (size_t i = 0; i < count; i++) mine[i] = rank + 1;
    MPI_Allreduce(mine, sum, (int) count, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    for (size_t i = 0; i < count; i++) bad += sum[i] != size * (size + 1) / 2.0;
    if (rank == 0) printf("sum of %zu bytes: %s\n", count * sizeof *mine, bad ? "wrong" : "right");
    MPI_Finalize();
    return 0;
}
