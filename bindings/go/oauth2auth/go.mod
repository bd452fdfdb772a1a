module outlast.example/go/oauth2auth

go 1.26.0

require (
	golang.org/x/oauth2 v0.38.0
	outlast.example/go v0.0.0
)

replace outlast.example/go => ../
