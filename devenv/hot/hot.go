// Package hot decides how a change of a service's files gets into pods that run. Decide takes three readings of the build context (as the image that was
// built last has it, as the image that runs has it, as it is) and names the shortest Way that is correct: nothing at all, files written into
// running containers, a layer on top of the image, or a build. Missing says what one container still has to be given for that.
//
// Both are pure, and "correct" means one thing: a container's files are afterwards what a build of the image from the same tree would give it. What a path of the
// context becomes in the image is told by Use, which comes from the Dockerfile; what a person vouches for is told by rules. Whatever neither
// answers makes the way Full.
//
// Inside and Topper are what carrying it out needs of the nodes that pods run on.
package hot
