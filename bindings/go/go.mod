module outlast.example/go

go 1.25
